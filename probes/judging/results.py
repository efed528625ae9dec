"""What an evaluation of probes says: plain data, kept as JSON, drawn by the report."""

import math
from typing import Literal

from probes.fitting.sweep import SweepEntry
from probes.judging.base_rates import BaseRate
from probes.metrics.curves import Curves
from probes.metrics.estimates import Estimate, Metrics, Result
from probes.metrics.thresholds import ThresholdResult


class RivalResult(Result):
    """Another scorer on the rows of the probe: a baseline that costs nothing, or a control that should fail.

    A gain is the probe's metric minus this one's, on the same resamples of problems.
    """

    name: str
    kind: Literal["baseline", "control"]
    metrics: Metrics
    auroc_gain: Estimate | None = None
    recall_gain: Estimate | None = None  # recall at 5% false alarms


class DomainResult(Result):
    """A probe on the test rows of one domain: "id" has problem sizes that the model was trained on, "ood"
    larger ones."""

    domain: str
    rows: int
    positives: int
    problems: int
    metrics: Metrics
    comparisons: tuple[RivalResult, ...] = ()
    curves: Curves

    def best_baseline(self) -> RivalResult | None:
        """The baseline with the largest AUROC; None without baselines or where none has one."""
        known = [
            comparison
            for comparison in self.comparisons
            if comparison.kind == "baseline" and not math.isnan(comparison.metrics.auroc.value)
        ]
        return max(known, key=lambda comparison: comparison.metrics.auroc.value, default=None)


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
    thresholds: tuple[ThresholdResult, ...] = ()
    calibration_drift: tuple[CalibrationDrift, ...] = ()


class EvaluationReport(Result):
    """All that one evaluation measured on one checkpoint."""

    checkpoint: str
    identity: dict[str, str]  # name of a part of the checkpoint -> its sha256
    made: str  # date, ISO 8601
    command: str
    probes: tuple[ProbeResult, ...]
    base_rates: tuple[BaseRate, ...] = ()
    notes: tuple[str, ...] = ()
