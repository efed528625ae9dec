"""Comparisons of a model's strategies on its question sets, in folders that a stopped run goes on from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import typer

from app.compare.outcome import Outcome
from app.compare.problems import AT_A_TERMINAL
from app.compare.runner import Comparison
from app.compare.served_model import ServedModel
from app.compare.server.findings import write_report
from app.compare.spec import parse_spec
from app.decoding.calibration.calibration import read_calibration
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.errors import RequestError
from benchmarks.real_models.choosing import COST_FILE
from benchmarks.real_models.preparing import Study
from benchmarks.real_models.question_sets import MARKER, Split
from benchmarks.real_models.settings import Settings
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.files import read_json, write_json
from probes.store import load_all

_ARM = re.compile(r"arms\[(\d+)\]")
_TELL_EVERY = 30.0
ORACLE = "oracle"
"""The stage that asks the test split several times, every time with other draws."""
REFUSED_FILE = "refused.json"


@dataclass(frozen=True)
class Compared:
    """A model that is being compared; it is loaded once."""

    study: Study
    _loaded: list[LoadedCheckpoint] = field(default_factory=list[LoadedCheckpoint])

    @property
    def loaded(self) -> LoadedCheckpoint:
        """The model."""
        if not self._loaded:
            self._loaded.append(checkpoint.load(self.study.model, "cpu", "float32"))
        return self._loaded[0]


def compare(compared: Compared, stage: str, name: str, arms: Sequence[Mapping[str, Any]]) -> None:
    """Run the comparison of a set, or what is missing of it.

    stage: `ORACLE`, or the split that is asked, with a number where there are several comparisons of it.
    """
    folder = compared.study.folder / stage / name
    if (folder / COST_FILE).exists():
        return
    study, settings, loaded = compared.study, compared.study.settings, compared.loaded
    probes = study.probes(name)
    stored = tuple(load_all(probes, loaded)) if probes else ()
    calibration = read_calibration(loaded.path, loaded.identity)
    limits = EngineLimits(max_rows=settings.max_rows)
    began = process_time()
    with Engine(loaded, limits, [each.probe for each in stored], calibration) as engine:
        served = ServedModel(engine, loaded, stored, calibration)
        items = _items(settings, stage, name, study.splits(name))
        spec = {
            "name": f"{study.name}-{stage}-{name}",
            "problems": {
                "source": "given",
                "items": items,
                "reading": {"rule": "marker", "answer_marker": MARKER},
                "scoring": {"kind": "text", "ignore_case": True},
            },
            "seed": settings.seed,
            "max_tokens": settings.sets[name].max_tokens,
            "stop": ["\n\n"],
            "latency_problems": 0,
        }
        comparison, refused = accepted(served, spec, arms)
        with served.folder(folder, comparison) as kept:
            write_json(folder / REFUSED_FILE, dict(refused))
            tell = _Teller(f"{study.name} {stage} {name}", comparison.total, len(kept.outcomes))
            comparison.run(kept, tell)
            write_report(kept)
            # Of this run alone, where an earlier one was stopped.
            write_json(folder / COST_FILE, {"seconds": round(process_time() - began, 1), "from": tell.had})


def accepted(
    served: ServedModel, spec: Mapping[str, Any], arms: Sequence[Mapping[str, Any]]
) -> tuple[Comparison, dict[str, str]]:
    """The comparison of the arms that the model can run, and why it cannot run the others, by name.

    Raises:
        RequestError: something else is wrong.
    """
    refused: dict[str, str] = {}
    left = list(arms)
    while True:
        try:
            return served.comparison(parse_spec({**spec, "arms": left}), AT_A_TERMINAL), refused
        except RequestError as error:
            at = _ARM.match(error.param or "")
            if at is None:
                raise
            refused[str(left.pop(int(at[1]))["name"])] = error.message


def _items(settings: Settings, stage: str, name: str, splits: Mapping[str, Split]) -> list[dict[str, str]]:
    """The questions of a stage; the oracle's several times, as a problem's place decides its draws."""
    split = "test" if stage == ORACLE else stage.partition("-")[0]
    count = settings.sets[name].asked.get(split)
    if stage != ORACLE:
        return splits[split].items()[:count]
    times = range(settings.oracle_samples)
    return [item for time in times for item in splits[split].items(f"sample-{time}-")[:count]]


class _Teller:
    """Says every half minute how far a comparison is."""

    def __init__(self, what: str, total: int, had: int) -> None:
        self.had, self._what, self._total, self._done = had, what, total, had
        self._began = self._told = monotonic()

    def __call__(self, _: Outcome) -> None:
        self._done += 1
        now = monotonic()
        if now - self._told < _TELL_EVERY and self._done < self._total:
            return
        self._told = now
        left = (now - self._began) / (self._done - self.had) * (self._total - self._done)
        typer.echo(f"{self._what}: {self._done} of {self._total}, {left:.0f} s left")


def refused_in(folder: Path) -> dict[str, str]:
    """Why arms of a comparison were left out, by name."""
    return {str(name): str(why) for name, why in read_json(folder / REFUSED_FILE).items()}
