"""Scores from which on an alarm is raised, chosen by how often it may be a false one."""

import numpy as np
import numpy.typing as npt

from probes.arrays import Bools, Floats
from probes.metrics.estimates import Number, Result
from probes.metrics.ranking import cumulative, last_allowed, order_rows, ratio

FALSE_ALARM_RATES = (0.01, 0.05, 0.10)


class MeasuredRates(Result):
    """What a threshold does on some rows, named by `rows`: "calibration", "id", "ood"."""

    rows: str
    false_alarm_rate: Number
    recall: Number


class ThresholdResult(Result):
    """A row is flagged where its score is greater than `threshold`, chosen on the calibration rows."""

    asked: float  # the largest false alarm rate allowed
    threshold: Number
    measured: tuple[MeasuredRates, ...]


def thresholds(
    calibration: tuple[Floats, Bools], tested: dict[str, tuple[Floats, Bools]]
) -> tuple[ThresholdResult, ...]:
    """Thresholds at the usual false alarm rates, chosen on the calibration part, and what they do elsewhere.

    Args:
        calibration: scores and labels. tested: the same by name of the rows.
    """
    chosen: list[ThresholdResult] = []
    for rate in FALSE_ALARM_RATES:
        threshold = threshold_at(*calibration, rate)
        measured = [
            MeasuredRates(rows=name, false_alarm_rate=alarms, recall=recall)
            for name, (scores, labels) in {"calibration": calibration, **tested}.items()
            for alarms, recall in [rates_at(scores, labels, threshold)]
        ]
        chosen.append(ThresholdResult(asked=rate, threshold=threshold, measured=tuple(measured)))
    return tuple(chosen)


def threshold_at(scores: npt.NDArray[np.floating], labels: Bools, rate: float) -> float:
    """The lowest threshold whose false alarm rate on these rows is at most `rate`.

    A row is flagged where score > threshold. The threshold lies midway between the lowest score that is
    flagged and the highest that is not. NaN without negatives.
    """
    rows = order_rows(scores, labels, np.zeros(len(labels), np.int64))
    mass, hits = cumulative(rows, np.ones(1, np.int64))
    negatives = int(mass[-1] - hits[-1])
    if negatives == 0:
        return float("nan")
    distinct = rows.scores[rows.edges[:-1]]
    flagged = last_allowed(mass - hits, negatives, rate)
    if flagged == 0:
        return float(distinct[0])
    below_flagged = np.nextafter(distinct[flagged - 1], -np.inf)
    if flagged == len(distinct):
        return float(below_flagged)
    return float(min((distinct[flagged - 1] + distinct[flagged]) / 2, below_flagged))


def rates_at(scores: npt.NDArray[np.floating], labels: Bools, threshold: float) -> tuple[float, float]:
    """(false alarm rate, recall) where score > threshold is flagged; NaN where there is nothing to count."""
    flagged = np.asarray(scores, np.float64) > threshold
    alarms, hits = int(np.sum(flagged & ~labels)), int(np.sum(flagged & labels))
    return ratio(alarms, int(np.sum(~labels))), ratio(hits, int(np.sum(labels)))
