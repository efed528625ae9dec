"""What the table of real models is made with: `settings.toml`."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SETTINGS = Path(__file__).with_name("settings.toml")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuestionSet(_Record):
    """A set of questions. own: a function of `question_sets`, by default that of the set's name; generator:
    one of reasoning-gym, with settings. steps: the answer is worked out in lines before it stands there.
    labelled: questions of the train split that its probe is fitted and judged on. asked: questions of other
    splits, if not all that are drawn."""

    own: str | None = None
    generator: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])
    steps: bool = False
    max_tokens: int = Field(ge=1)
    labelled: int = Field(ge=1)
    asked: dict[str, int] = Field(default_factory=dict[str, int])


class ModelSettings(_Record):
    """A model. name: for people. layers: where its probes may be read. sets: names of question sets;
    tuned_on: those on whose validation splits settings are tried."""

    name: str
    layers: tuple[int, ...]
    sets: tuple[str, ...]
    tuned_on: tuple[str, ...]


class Candidates(_Record):
    """A strategy and the settings that are tried for it. needs_steps: only where answers are worked out."""

    name: str
    needs_steps: bool = False
    settings: tuple[dict[str, Any], ...]

    def arms(self) -> list[dict[str, Any]]:
        """An arm per setting: NAME-1, NAME-2 and so on."""
        return [{"name": f"{self.name}-{number}", **each} for number, each in enumerate(self.settings, 1)]


class Settings(_Record):
    """All of it. counts: questions per set and split. near: by how much less accurate a cheaper setting may
    be and still be taken. oracle_samples: samples of which the oracle chooses. calibration_texts: texts
    whose signals are measured. label_samples: completions per
    question that a probe is fitted on, and label_temperature theirs."""

    seed: int
    counts: dict[str, int]
    near: float
    oracle_samples: int
    oracle_temperature: float
    calibration_texts: int
    label_samples: int
    label_temperature: float
    max_rows: int
    models: dict[str, ModelSettings]
    sets: dict[str, QuestionSet]
    strategies: tuple[Candidates, ...]

    @property
    def oracle_arm(self) -> dict[str, Any]:
        """What the oracle chooses among."""
        return {"name": "sample", "strategy": {"kind": "sample"}, "temperature": self.oracle_temperature}

    def candidates(self, question_set: str) -> list[Candidates]:
        """The strategies that apply to a set."""
        steps = self.sets[question_set].steps
        return [each for each in self.strategies if steps or not each.needs_steps]


def read_settings(path: Path = SETTINGS) -> Settings:
    """The settings of a file.

    Raises:
        OSError, ValueError: it cannot be read, or says something else.
    """
    return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
