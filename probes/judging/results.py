"""What an evaluation of probes says: plain data, kept as JSON, drawn by the report.

A number that the rows cannot tell (an AUROC without positives) is NaN in Python and null in JSON.
"""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


def _null_as_nan(value: object) -> object:
    return math.nan if value is None else value


def _finite_or_nan(value: float) -> float:
    if math.isinf(value):
        raise ValueError("an infinite number; a measured value is finite, or NaN where it is undefined")
    # Always the same NaN object, so that two equal results compare equal.
    return math.nan if math.isnan(value) else value


def _nan_as_null(value: float) -> float | None:
    return None if math.isnan(value) else value


Number = Annotated[
    float,
    BeforeValidator(_null_as_nan),
    AfterValidator(_finite_or_nan),
    PlainSerializer(_nan_as_null, when_used="json"),
]


class Result(BaseModel):
    """Base of all models here: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(Result):
    """A measured value and its 95% interval."""

    value: Number
    low: Number
    high: Number


class Metrics(Result):
    """How well scores tell positive rows from negative ones; formulas are in `probes.judging.metrics`."""

    auroc: Estimate
    average_precision: Estimate
    recall_at_1: Estimate  # recall at no more than 1% false alarms
    recall_at_5: Estimate
    recall_at_10: Estimate
    brier: Estimate
    ece: Estimate
    within_problem_auroc: Estimate


class Comparison(Result):
    """Another scorer on the rows of the probe: a baseline that costs nothing, or a control that should fail.

    A gain is the probe's metric minus this one's, on the same resamples of problems.
    """

    name: str
    kind: Literal["baseline", "control"]
    metrics: Metrics
    auroc_gain: Estimate | None = None
    recall_gain: Estimate | None = None  # recall at 5% false alarms


class ReliabilityBin(Result):
    """Rows of neighbouring scores: what the scores promise, and what came."""

    mean_score: float
    observed: float  # share of positives
    rows: int


class Curves(Result):
    roc: tuple[tuple[float, float], ...]  # (false alarm rate, recall), from (0, 0) to (1, 1)
    reliability: tuple[ReliabilityBin, ...]  # of equal mass, by rising score


class DomainResult(Result):
    """A probe on the test rows of one domain: "id" has problem sizes that the model was trained on, "ood"
    larger ones."""

    domain: str
    rows: int
    positives: int
    problems: int
    metrics: Metrics
    comparisons: tuple[Comparison, ...] = ()
    curves: Curves

    def best_baseline(self) -> Comparison | None:
        """The baseline with the largest AUROC; None without baselines or where none has one."""
        known = [
            comparison
            for comparison in self.comparisons
            if comparison.kind == "baseline" and not math.isnan(comparison.metrics.auroc.value)
        ]
        return max(known, key=lambda comparison: comparison.metrics.auroc.value, default=None)


class SweepEntry(Result):
    """One candidate on the validation rows."""

    family: str
    layers: tuple[int, ...]
    position: str
    signals: bool  # whether entropies and their like are among its features
    auroc: Estimate
    tokens_left: Number  # mean number of tokens of the step that are still to come where it reads
    chosen: bool = False


class MeasuredRates(Result):
    """What a threshold does on some rows, named by `rows`: "calibration", "id", "ood"."""

    rows: str
    false_alarm_rate: Number
    recall: Number


class Threshold(Result):
    """A row is flagged where its score is greater than `threshold`, chosen on the calibration rows."""

    asked: float  # the largest false alarm rate allowed
    threshold: Number
    measured: tuple[MeasuredRates, ...]


class CalibrationDrift(Result):
    """Calibration on rows of another kind, such as steps sampled again after an intervention."""

    label: str
    ece: Estimate
    brier: Estimate


class ProbeResult(Result):
    name: str
    meaning: str  # one sentence: what a positive is
    position: str
    family: str
    layers: tuple[int, ...]
    domains: tuple[DomainResult, ...]
    sweep: tuple[SweepEntry, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    calibration_drift: tuple[CalibrationDrift, ...] = ()


class BaseRate(Result):
    """How often a kind of mistake happens."""

    domain: str
    op: int | None
    temperature: float
    kind: str
    rows: int
    positives: int


class EvaluationReport(Result):
    """All that one evaluation measured on one checkpoint."""

    checkpoint: str
    identity: dict[str, str]  # name of a part of the checkpoint -> its sha256
    made: str  # date, ISO 8601
    command: str
    probes: tuple[ProbeResult, ...]
    base_rates: tuple[BaseRate, ...] = ()
    notes: tuple[str, ...] = ()
