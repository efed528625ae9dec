"""Metrics with 95% intervals.

Rows of one problem are correlated, so an interval comes from resampling whole problems with replacement. A
resample is kept as a number of copies per problem: rows are sorted once, and each resample costs a few
cumulative sums.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from probes.arrays import Bools, Floats, Ints
from probes.metrics.estimates import Estimate, Metrics
from probes.metrics.ranking import Rows, bin_bounds, cumulative, last_allowed, order_rows, ratio

MetricName = Literal[
    "auroc",
    "average_precision",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "brier",
    "ece",
    "within_problem_auroc",
]
METRICS: tuple[MetricName, ...] = get_args(MetricName)

_RATES = (0.01, 0.05, 0.10)
_PERFECT: tuple[MetricName, ...] = (*METRICS[:5], "within_problem_auroc")
"""Metrics of which 1 is the best there is."""
_Z2 = 1.96**2


@dataclass(frozen=True)
class ResampledMetrics:
    """Every metric of one scorer on its rows, and on each resample of their problems.

    Scorers of the same rows see the same resamples under the same seed, so their draws are paired.
    """

    values: Mapping[MetricName, float]
    draws: Mapping[MetricName, Floats]  # each (resamples,)
    sample: str  # digest of labels, groups, seed and number of resamples
    problems: int  # with a positive, or with a negative: the smaller number

    def metrics(self) -> Metrics:
        return Metrics.model_validate({name: self._estimate(name) for name in METRICS})

    def minus(self, other: "ResampledMetrics", metric: MetricName) -> Estimate:
        """Paired difference of a metric: this scorer minus the other.

        Raises:
            ValueError: the two were not measured on the same rows with the same seed.
        """
        if self.sample != other.sample:
            raise ValueError(
                "the scorers were measured on different samples; "
                "give both the same labels, groups, seed and number of resamples"
            )
        found = _estimate(
            self.values[metric] - other.values[metric], self.draws[metric] - other.draws[metric]
        )
        return Estimate(
            value=found.value,
            low=max(-1.0, found.low - self._unseen(metric)),
            high=min(1.0, found.high + other._unseen(metric)),
        )

    def _estimate(self, metric: MetricName) -> Estimate:
        found = _estimate(self.values[metric], self.draws[metric])
        return Estimate(value=found.value, low=found.low - self._unseen(metric), high=found.high)

    def _unseen(self, metric: MetricName) -> float:
        """How far below 1 a metric may be whose resamples are all perfect, as of few problems they often are.

        Wilson's interval of a share that is 1 in so many problems ends there.
        """
        draws = self.draws[metric]
        perfect = metric in _PERFECT and bool((draws[~np.isnan(draws)] == 1).all())
        return _Z2 / (self.problems + _Z2) if perfect and self.values[metric] == 1 else 0.0


def resample(
    scores: npt.NDArray[np.floating],
    labels: Bools,
    groups: Ints,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> ResampledMetrics:
    """Measure a scorer on its rows and on `resamples` draws of as many problems as there are.

    To compare several scorers call this once for each and subtract with `minus`.
    """
    rows = order_rows(scores, labels, groups)
    problems = len(rows.sizes)
    values = _values(rows, np.ones(problems, np.int64))
    draws = np.full((resamples, len(METRICS)), np.nan)
    if problems > 1:  # a single problem says nothing about how much problems differ
        random = np.random.default_rng(seed)
        for draw in draws:
            drawn = random.integers(problems, size=problems)
            draw[:] = _values(rows, np.bincount(drawn, minlength=problems))
    return ResampledMetrics(
        values=dict(zip(METRICS, values, strict=True)),
        draws=dict(zip(METRICS, draws.T, strict=True)),
        sample=_digest(labels, groups, resamples, seed),
        problems=min(len(np.unique(groups[labels])), len(np.unique(groups[~labels]))),
    )


def measure(
    scores: npt.NDArray[np.floating],
    labels: Bools,
    groups: Ints,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Metrics:
    """All metrics with 95% percentile intervals; Wilson's where every resample is perfect.

    AUROC: share of pairs of a positive and a negative that are ordered rightly, a tie counting half.
    Average precision: mean over positives of the precision at their score. Recall at a false alarm rate: the
    largest recall among thresholds whose false alarm rate on these rows is at most that. Brier: mean squared
    distance of score and label. ECE: expected calibration error, mean over 15 bins of equal mass of
    |mean score - share of positives|. Within-problem AUROC: AUROC over the pairs that share a problem.
    Brier and ECE are NaN where a score is not in [0, 1]: such scores are no probabilities.

    Raises:
        ValueError: shapes differ, or a score is not finite.
    """
    return resample(scores, labels, groups, resamples=resamples, seed=seed).metrics()


def difference(
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    labels: Bools,
    groups: Ints,
    *,
    metric: MetricName = "auroc",
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Paired difference of one metric, `first` minus `second`, on the same resamples of problems."""
    minuend = resample(first, labels, groups, resamples=resamples, seed=seed)
    return minuend.minus(resample(second, labels, groups, resamples=resamples, seed=seed), metric)


def _values(rows: Rows, copies: Ints) -> list[float]:
    """Every metric, in the order of METRICS, where problem g is there copies[g] times."""
    mass, hits = cumulative(rows, copies)
    positives, total = int(hits[-1]), int(mass[-1])
    negatives = total - positives
    alarms = mass - hits
    weight = copies[rows.problem[rows.positive_rows]]
    block = rows.positive_blocks
    above = (alarms[block] + alarms[block + 1]) / 2  # negatives that outrank a positive
    precision = hits[block + 1] / np.maximum(mass[block + 1], 1)
    recalls = (
        ratio(int(hits[last_allowed(alarms, negatives, rate)]), positives if negatives else 0)
        for rate in _RATES
    )
    return [
        1 - ratio(float(weight @ above), positives * negatives),
        ratio(float(weight @ precision), positives),
        *recalls,
        ratio(float(copies @ rows.squared), total if rows.probabilities else 0),
        _calibration_error(rows, copies, mass) if rows.probabilities else float("nan"),
        ratio(float(copies @ rows.ordered), int(copies @ rows.pairs)),
    ]


def _calibration_error(rows: Rows, copies: Ints, mass: Ints) -> float:
    if not mass[-1]:
        return float("nan")
    excess = np.zeros(len(rows.scores) + 1)
    np.cumsum(copies[rows.problem] * (rows.scores - rows.positive), out=excess[1:])
    return float(np.sum(np.abs(np.diff(excess[rows.edges[bin_bounds(mass)]])))) / int(mass[-1])


def _estimate(value: float, draws: Floats) -> Estimate:
    """Interval between the 2.5th and 97.5th percentile of the draws that have a value."""
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or len(known) == 0:
        return Estimate(value=value, low=float("nan"), high=float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))


def _digest(labels: Bools, groups: Ints, resamples: int, seed: int) -> str:
    digest = hashlib.sha256(f"{resamples} {seed} ".encode())
    digest.update(np.ascontiguousarray(labels).tobytes())
    digest.update(np.ascontiguousarray(groups, np.int64).tobytes())
    return digest.hexdigest()
