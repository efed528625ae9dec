"""What a plot of scores needs: ROC curves and reliability diagrams."""

import itertools

import numpy as np
import numpy.typing as npt

from probes.arrays import Bools, Ints
from probes.metrics.estimates import Result
from probes.metrics.ranking import bin_bounds, cumulative, order_rows

ROC_POINTS = 200


class ReliabilityBin(Result):
    """Rows of neighbouring scores: what the scores promise, and what came."""

    mean_score: float
    observed: float  # share of positives
    rows: int


class Curves(Result):
    roc: tuple[tuple[float, float], ...]  # (false alarm rate, recall), from (0, 0) to (1, 1)
    reliability: tuple[ReliabilityBin, ...]  # of equal mass, by rising score


def curves(scores: npt.NDArray[np.floating], labels: Bools) -> Curves:
    """What a plot needs: the ROC curve in at most 200 points, and the reliability bins of the ECE.

    The ROC curve is empty without positives or without negatives, the bins are empty without rows.
    """
    rows = order_rows(scores, labels, np.zeros(len(labels), np.int64))
    mass, hits = cumulative(rows, np.ones(len(rows.sizes), np.int64))
    bounds = rows.edges[bin_bounds(mass)] if len(rows.scores) else np.zeros(1, np.int64)
    bins = [
        ReliabilityBin(
            mean_score=float(np.mean(rows.scores[start:stop])),
            observed=float(np.mean(rows.positive[start:stop])),
            rows=int(stop - start),
        )
        for start, stop in itertools.pairwise(bounds)
        if stop > start
    ]
    return Curves(roc=_roc(mass, hits), reliability=tuple(reversed(bins)))


def _roc(mass: Ints, hits: Ints) -> tuple[tuple[float, float], ...]:
    positives, negatives = int(hits[-1]), int(mass[-1] - hits[-1])
    if positives == 0 or negatives == 0:
        return ()
    recall, alarm_rate = hits / positives, (mass - hits) / negatives
    # Evenly along the curve, so that neither a steep start nor a flat end loses its shape.
    kept = np.searchsorted(recall + alarm_rate, np.linspace(0, 2, ROC_POINTS - 1))
    kept = np.unique(np.append(np.minimum(kept, len(mass) - 1), len(mass) - 1))
    return tuple(zip(alarm_rate[kept].tolist(), recall[kept].tolist(), strict=True))
