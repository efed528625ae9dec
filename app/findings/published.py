"""What is published of findings: files in one folder, `docs/findings` in a checkout.

`NAME.json` holds the numbers of a finding's stages. All else is made of these and of what was declared:
`findings.json`, which `GET /v1/findings` answers with, `README.md`, and a figure of each.
"""

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from app.compare.results import Estimate, Result
from app.findings.criteria import Verdict
from models.errors import ArtifactError
from models.files import read_json

Read = TypeVar("Read", bound=BaseModel)

FINDINGS_FILE = "findings.json"
_INSTALLED = Path(__file__).parent / "results"
_CHECKOUT = Path(__file__).parents[2] / "docs" / "findings"


class Raw(Result):
    """Results of a finding's stages, by seed and by stage.

    begun: when its first stage began, in UTC.
    """

    name: str
    size: Literal["quick", "full"]
    begun: str
    seeds: dict[int, dict[str, dict[str, Any]]]

    @property
    def seconds(self) -> float:
        """Of a processor, of the stages that are done."""
        return sum(stage["processor_seconds"] for stages in self.seeds.values() for stage in stages.values())


class RangeOut(Result):
    """Both ends belong to it; null is no end."""

    low: float | None
    high: float | None


class CriterionOut(Result):
    """A number that the finding stands or falls by, with what was fixed before the first run."""

    quantity: str
    meaning: str
    percent: bool = Field(description="Whether it is a share, to be shown in percent.")
    supported: RangeOut = Field(description="Where its interval must lie.")
    refuted: list[RangeOut] = Field(description="Where it must not; none for a condition of the experiment.")
    measured: Estimate | None = Field(description="Over all seeds; null where it has not been measured.")
    by_seed: dict[int, Estimate]
    verdict: Verdict


class QuestionOut(Result):
    """What a served model of that corpus can be asked."""

    corpus: str
    prompt: str
    note: str


class Fixed(Result):
    """The commit since which what would support and refute a finding reads as it does."""

    commit: str
    date: str


class FindingOut(Result):
    """A finding: the claim, what was expected, what came."""

    name: str
    title: str
    claim: str
    source: str
    design: str
    verdict: Verdict
    criteria: list[CriterionOut]
    fixed: Fixed | None = Field(description="Null where no history of the code is at hand.")
    begun: str | None = Field(description="When the first run began, in UTC; null before.")
    seeds: list[int]
    stages_done: int
    stages: int = Field(description="0 where nobody has written yet how to run it.")
    processor_seconds: float
    minutes: float | None = Field(
        default=None, description="What two seeds take of one processor core, about; null where unknown."
    )
    command: str
    questions: list[QuestionOut]


class FindingList(Result):
    """Answer of GET /v1/findings."""

    object: Literal["list"] = "list"
    data: list[FindingOut]


def published_folder() -> Path:
    """Where the results are that came with this code."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def read_raw(folder: Path, name: str) -> Raw | None:
    """What has been published of a finding's stages; None before its first run.

    Raises:
        ArtifactError: the file is damaged.
    """
    file = folder / f"{name}.json"
    return _read(file, Raw) if file.exists() else None


def read_published(folder: Path) -> FindingList:
    """The findings as they were published last.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    return _read(folder / FINDINGS_FILE, FindingList)


def _read(file: Path, kind: type[Read]) -> Read:
    try:
        return kind.model_validate(read_json(file))
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]
        place = ".".join(map(str, reason["loc"]))
        raise ArtifactError(f"{file} is damaged: {place}: {reason['msg']}") from error
