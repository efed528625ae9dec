"""Rows ordered by score, and the counts that every metric is made of.

Rows are sorted once. A resample of problems is a number of copies per problem (problems,), and whatever a
metric needs of it follows from cumulative sums over the sorted rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probes.arrays import Bools, Floats, Ints

BINS = 15  # of the calibration error and of reliability diagrams


@dataclass(frozen=True)
class Rows:
    """Rows by falling score, and per problem what sums up over problems."""

    scores: Floats  # (n,)
    positive: Ints  # (n,) 0 or 1
    problem: Ints  # (n,) index into the arrays of problems
    edges: Ints  # (blocks + 1,) block k of tied scores holds rows edges[k] to edges[k + 1]
    positive_rows: Ints  # (positives,)
    positive_blocks: Ints  # (positives,) the block of each
    probabilities: bool
    sizes: Ints  # (problems,) rows of each
    squared: Floats  # (problems,) sum of squared distances of score and label
    pairs: Ints  # (problems,) pairs of a positive and a negative
    ordered: Floats  # (problems,) those ordered rightly, ties half


def order_rows(scores: npt.NDArray[np.floating], labels: Bools, groups: Ints) -> Rows:
    if not (scores.ndim == 1 and scores.shape == labels.shape == groups.shape):
        raise ValueError(
            f"scores {scores.shape}, labels {labels.shape} and groups {groups.shape} must be (n,) each"
        )
    if labels.dtype != np.bool_:
        raise ValueError(f"labels are {labels.dtype}, not bool; true means positive")
    if not np.all(np.isfinite(scores)):
        raise ValueError(
            f"{int(np.sum(~np.isfinite(scores)))} scores are not finite; every row needs a number"
        )
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    values, positive = scores.astype(np.float64)[order], labels[order].astype(np.int64)
    names, problem = np.unique(groups[order], return_inverse=True)
    edges = _edges(values)
    positive_rows = np.flatnonzero(positive)
    pairs, ordered = _pairs_within(values, positive, problem, len(names))
    return Rows(
        scores=values,
        positive=positive,
        problem=problem.astype(np.int64),
        edges=edges,
        positive_rows=positive_rows,
        positive_blocks=np.searchsorted(edges, positive_rows, side="right") - 1,
        probabilities=bool(np.all((values >= 0) & (values <= 1))),
        sizes=np.bincount(problem, minlength=len(names)),
        squared=_sums(problem, (values - positive) ** 2, len(names)),
        pairs=pairs,
        ordered=ordered,
    )


def _edges(*keys: npt.NDArray[np.generic]) -> Ints:
    """Bounds of the runs of rows that agree in every key: (runs + 1,), and (1,) without rows."""
    n = len(keys[0])
    if n == 0:
        return np.zeros(1, np.int64)
    changes = np.zeros(n - 1, np.bool_)
    for key in keys:
        changes |= key[1:] != key[:-1]
    return np.concatenate(([0], np.flatnonzero(changes) + 1, [n])).astype(np.int64)


def _pairs_within(values: Floats, positive: Ints, problem: Ints, problems: int) -> tuple[Ints, Floats]:
    """Per problem: its pairs of a positive and a negative, and how many are ordered rightly (ties half)."""
    order = np.lexsort((values, problem))
    values, positive, problem = values[order], positive[order], problem[order]
    hits = np.bincount(problem[positive == 1], minlength=problems)
    misses = np.bincount(problem, minlength=problems) - hits
    edges = _edges(problem, values)
    below = np.concatenate(([0], np.cumsum(1 - positive)))[edges]  # negatives before each run
    owner = problem[edges[:-1]]
    before = (np.cumsum(misses) - misses)[owner]  # negatives of the problems before
    run_hits = np.diff(np.concatenate(([0], np.cumsum(positive)))[edges])
    rightly = run_hits * ((below[:-1] + below[1:]) / 2 - before)
    return hits * misses, _sums(owner, rightly, problems)


def _sums(index: Ints, values: Floats, length: int) -> Floats:
    return np.bincount(index, values, minlength=length).astype(np.float64)


def cumulative(rows: Rows, copies: Ints) -> tuple[Ints, Ints]:
    """Rows, and positives, among the k highest blocks of tied scores, for k from 0: two (blocks + 1,)."""
    weight = copies[rows.problem]
    mass, hits = np.zeros(len(weight) + 1, np.int64), np.zeros(len(weight) + 1, np.int64)
    np.cumsum(weight, out=mass[1:])
    np.cumsum(weight * rows.positive, out=hits[1:])
    return mass[rows.edges], hits[rows.edges]


def last_allowed(alarms: Ints, negatives: int, rate: float) -> int:
    """How many blocks of tied scores may be flagged before false alarms exceed the rate."""
    allowed = int(rate * negatives + 1e-9)  # 0.29 * 100 is a hair less than 29
    return int(np.searchsorted(alarms, allowed, side="right")) - 1


def bin_bounds(mass: Ints) -> Ints:
    """Blocks where bins of equal mass start and end: (BINS + 1,).

    A block of tied scores is not divided: it belongs where the middle of its mass falls.
    """
    total, inner = int(mass[-1]), np.arange(1, BINS)
    straddling = np.searchsorted(mass[1:], -(-inner * total // BINS))
    middle = mass[straddling] + mass[straddling + 1]  # twice, to stay in integers
    return np.concatenate(([0], straddling + (BINS * middle < 2 * inner * total), [len(mass) - 1]))


def ratio(part: float, whole: int) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else float("nan")
