"""Two arms against each other, on the problems that both have finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.compare.graded import graded_counts, graded_power, is_graded, mean_difference, sign_flip_p
from app.compare.power import power_of
from app.compare.resampling import resampled_means
from app.compare.results import Estimate, PairResult, PairVerdict, Power
from app.compare.statistics import (
    ALPHA,
    PairedCounts,
    difference,
    holm,
    interval,
    mcnemar_p,
    paired_counts,
)
from app.compare.table import Table

Floats = NDArray[np.float64]


def all_pairs(arms: Sequence[str], table: Table) -> tuple[PairResult, ...]:
    """Any two arms, the earlier first; p values are corrected for the number of pairs."""
    return _compare(arms, table, list(combinations(range(len(arms)), 2)))


def with_baseline(arms: Sequence[str], table: Table, baseline: str) -> tuple[PairResult, ...]:
    """Every other arm minus the baseline; p values are corrected for the number of other arms."""
    column = arms.index(baseline)
    return _compare(arms, table, [(arm, column) for arm in range(len(arms)) if arm != column])


def _compare(arms: Sequence[str], table: Table, pairs: Sequence[tuple[int, int]]) -> tuple[PairResult, ...]:
    if not pairs:
        return ()
    # Four columns a pair, each known where both arms are: the difference, then tokens, then rows of the two.
    drawn = _means([_columns(table, *pair) for pair in pairs])
    graded = is_graded(table.right)
    found = [_pair(arms, table, pair, drawn[:, place], graded=graded) for place, pair in enumerate(pairs)]
    known: Mapping[str, float] = {
        str(place): each.p for place, each in enumerate(found) if each.p is not None
    }
    corrected = holm(known)
    return tuple(_judged(each, corrected.get(str(place))) for place, each in enumerate(found))


def _columns(table: Table, first: int, second: int) -> list[Floats]:
    tokens, rows = table.tokens, table.rows
    both = ~np.isnan(tokens[:, first]) & ~np.isnan(tokens[:, second])
    costs = [np.where(both, each[:, arm], np.nan) for each in (tokens, rows) for arm in (first, second)]
    return [table.right[:, first] - table.right[:, second], *costs]


def _means(columns: Sequence[Sequence[Floats]]) -> Floats:
    """Resampled means of the columns of every pair: [resamples, pairs, columns of a pair]."""
    flat = np.stack([column for each in columns for column in each], axis=1)
    return resampled_means(flat).reshape(-1, len(columns), len(columns[0]))


def _pair(
    arms: Sequence[str], table: Table, pair: tuple[int, int], drawn: Floats, *, graded: bool
) -> PairResult:
    first, second = pair
    found = _found(table.right[:, first], table.right[:, second], drawn[:, 0], graded=graded)
    finished = ~np.isnan(table.tokens[:, first]) & ~np.isnan(table.tokens[:, second])
    return PairResult(
        arm=arms[first],
        other=arms[second],
        problems=int(finished.sum()),
        both=found.counts.both,
        arm_only=found.counts.first_only,
        other_only=found.counts.second_only,
        neither=found.counts.neither,
        difference=found.difference,
        bootstrap=None if found.difference is None else interval(found.difference.value, drawn[:, 0]),
        p=found.p,
        p_adjusted=None,
        verdict=None,
        token_ratio=_ratio(table.tokens[finished][:, pair], drawn[:, 1:3]),
        row_ratio=_ratio(table.rows[finished][:, pair], drawn[:, 3:5]),
        power=found.power,
    )


@dataclass(frozen=True)
class _Found:
    """What two arms' results on the same problems say."""

    counts: PairedCounts
    difference: Estimate | None
    p: float | None
    power: Power


def _found(first: Floats, second: Floats, drawn: Floats, *, graded: bool) -> _Found:
    """drawn: resampled means of the difference."""
    if not graded:
        counts = paired_counts(first, second)
        return _Found(counts, difference(counts), mcnemar_p(counts), power_of(counts))
    differences = first - second
    known = differences[~np.isnan(differences)]
    mean = mean_difference(known, drawn)
    return _Found(graded_counts(first, second), mean, sign_flip_p(known), graded_power(known))


def _ratio(costs: Floats, drawn: Floats) -> Estimate | None:
    """Ratio of the means of two columns; None where the second cost nothing, or no problem is common."""
    if not len(costs) or not costs[:, 1].sum():
        return None
    ratios = np.full(len(drawn), np.nan)
    np.divide(drawn[:, 0], drawn[:, 1], out=ratios, where=drawn[:, 1] > 0)
    return interval(float(costs[:, 0].sum() / costs[:, 1].sum()), ratios)


def _judged(pair: PairResult, corrected: float | None) -> PairResult:
    if corrected is None:
        return pair
    gain = 0.0 if pair.difference is None else pair.difference.value
    better: PairVerdict = "better" if gain > 0 else "worse"
    verdict: PairVerdict = better if corrected < ALPHA else "not clear"
    return pair.model_copy(update={"p_adjusted": corrected, "verdict": verdict})
