"""Two arms against each other, on the problems that both have finished."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.compare.power import power_of
from app.compare.resampling import resampled_means
from app.compare.results import Estimate, PairResult, PairVerdict
from app.compare.statistics import (
    ALPHA,
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
    found = [_pair(arms, table, pair, drawn[:, place]) for place, pair in enumerate(pairs)]
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


def _pair(arms: Sequence[str], table: Table, pair: tuple[int, int], drawn: Floats) -> PairResult:
    first, second = pair
    counts = paired_counts(table.right[:, first], table.right[:, second])
    score = difference(counts)
    finished = ~np.isnan(table.tokens[:, first]) & ~np.isnan(table.tokens[:, second])
    return PairResult(
        arm=arms[first],
        other=arms[second],
        problems=int(finished.sum()),
        both=counts.both,
        arm_only=counts.first_only,
        other_only=counts.second_only,
        neither=counts.neither,
        difference=score,
        bootstrap=None if score is None else interval(score.value, drawn[:, 0]),
        p=mcnemar_p(counts),
        p_adjusted=None,
        verdict=None,
        token_ratio=_ratio(table.tokens[finished][:, pair], drawn[:, 1:3]),
        row_ratio=_ratio(table.rows[finished][:, pair], drawn[:, 3:5]),
        power=power_of(counts),
    )


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
    better: PairVerdict = "better" if pair.arm_only > pair.other_only else "worse"
    verdict: PairVerdict = better if corrected < ALPHA else "not clear"
    return pair.model_copy(update={"p_adjusted": corrected, "verdict": verdict})
