"""What a finding is: a claim, what would support it and what would refute it, and how to find out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.compare.results import Estimate
from app.findings.criteria import Criterion

Size = Literal["quick", "full"]
"""`quick` shows in minutes that everything runs; it is too small to say anything of the claim."""

StageResult = Mapping[str, Any]
"""Numbers of one stage, as JSON has them."""


class Stopped(Exception):
    """Somebody wants a run to end; what it has done is kept, and it can be gone on with."""


@dataclass(frozen=True)
class Bench:
    """Where a stage works.

    folder: of the finding and the seed; what one stage trains is there for the next.
    told: is told how much of the stage is done, from 0 to 1. should_stop: asked now and then.
    device: where it trains, `auto`, `cpu` or `cuda`.
    """

    folder: Path
    told: Callable[[float], None] = lambda _share: None
    should_stop: Callable[[], bool] = lambda: False
    device: str = "auto"


@dataclass(frozen=True)
class Stage:
    """A piece of a run whose result is kept, so that it is computed once.

    name: among those of the finding, for the same seed. cost: of its training, in multiply-adds.
    work: a function of the seed, the size and what the bench's folder holds, that a kill does not change: a
    stage that begins again ends with the same result.
    """

    name: str
    cost: float
    work: Callable[[Bench], StageResult]


@dataclass(frozen=True)
class Experiment:
    """How a finding is put to the test.

    stages: of a size and a seed, in the order in which they are worked on.
    measured: from the results of a seed's stages to the numbers that decide, less those that lack a stage.
    figure: from the results of stages by seed to an SVG.
    """

    stages: Callable[[Size, int], Sequence[Stage]]
    measured: Callable[[Mapping[str, StageResult]], Mapping[str, Estimate]]
    figure: Callable[[Mapping[int, Mapping[str, StageResult]]], str]


@dataclass(frozen=True)
class Question:
    """What a model of that corpus can be asked live, with what to look at."""

    corpus: str
    prompt: str
    note: str


@dataclass(frozen=True)
class Finding:
    """A claim and its test. `experiment` is None where it has been declared, and cannot be run yet.

    minutes: what all stages of two seeds take of one processor core, by the trainer's measured speed.
    """

    name: str
    title: str
    claim: str
    source: str
    design: str
    criteria: tuple[Criterion, ...]
    experiment: Experiment | None = None
    minutes: float | None = None
    questions: tuple[Question, ...] = ()
