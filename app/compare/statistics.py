"""What counts and measurements allow to say: intervals, tests and their correction. Pure functions, 95%.

Shares have Wilson's interval, paired differences of shares a score interval, medians one that assumes no
distribution. Sources and measured coverage: docs/compare.md.

What scipy and statsmodels compute is imported where it is used: that takes a second or two, which each start
of a server would pay and most never need.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.compare.results import Estimate

Floats = NDArray[np.float64]

LEVEL = 0.95
ALPHA = 1 - LEVEL
Z = NormalDist().inv_cdf(1 - ALPHA / 2)


def standard_normal(probability: float) -> float:
    """The value that a standard normal number is below with this probability."""
    return NormalDist().inv_cdf(probability)


@dataclass(frozen=True)
class PairedCounts:
    """Problems that two arms solved: both of them, one alone, none."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def problems(self) -> int:
        """All of them."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def discordant(self) -> int:
        """Problems that one arm solved and the other did not: all that tells the two apart."""
        return self.first_only + self.second_only


def paired_counts(first: Floats, second: Floats) -> PairedCounts:
    """Counts over the problems that both know; 1 is right, 0 wrong, NaN unknown."""
    known = ~np.isnan(first) & ~np.isnan(second)
    mine, theirs = first[known] == 1, second[known] == 1
    return PairedCounts(
        both=int((mine & theirs).sum()),
        first_only=int((mine & ~theirs).sum()),
        second_only=int((~mine & theirs).sum()),
        neither=int((~mine & ~theirs).sum()),
    )


def share(right: Floats) -> Estimate | None:
    """Share of ones with Wilson's interval; NaN is left out, and None is the share of nothing."""
    known = right[~np.isnan(right)]
    if not len(known):
        return None
    low, high = wilson(int(known.sum()), len(known))
    return Estimate(value=float(known.mean()), low=low, high=high)


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion, for one trial or more.

    It begins at 0 where there was no success and ends at 1 where there was nothing else: by its formula too,
    but for rounding.
    """
    from statsmodels.stats.proportion import proportion_confint

    bounds: Any = proportion_confint(successes, trials, alpha=ALPHA, method="wilson")
    low, high = float(bounds[0]), float(bounds[1])
    return 0.0 if successes == 0 else low, 1.0 if successes == trials else high


def difference(counts: PairedCounts) -> Estimate | None:
    """Share that the first solved minus that of the second, with its score interval (Tango, 1998).

    It holds its level where the bootstrap does not: high shares, few problems on which the arms differ.
    """
    n = counts.problems
    if not n:
        return None
    return Estimate(
        value=(counts.first_only - counts.second_only) / n,
        low=-_score_bound(counts.second_only, counts.first_only, n),
        high=_score_bound(counts.first_only, counts.second_only, n),
    )


def mcnemar_p(counts: PairedCounts) -> float | None:
    """Two-sided p of McNemar's exact test: 1 where the arms never differ, None without problems."""
    if not counts.problems:
        return None
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[counts.both, counts.first_only], [counts.second_only, counts.neither]]
    tested: Any = mcnemar(table, exact=True)
    return min(1.0, float(tested.pvalue))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number (Holm, 1979).

    statsmodels' own collects garbage at every call, which stops a server for a tenth of a second.
    """
    smallest_first = sorted(values, key=lambda name: values[name])
    steps = [min(1.0, values[name] * (len(values) - rank)) for rank, name in enumerate(smallest_first)]
    corrected = dict(zip(smallest_first, accumulate(steps, max), strict=True))
    return {name: corrected[name] for name in values}


def median(values: Floats) -> Estimate | None:
    """Median with its interval from order statistics; no interval where there are too few values for one."""
    if not len(values):
        return None
    from scipy.stats import quantile_test

    middle = float(np.median(values))
    low, high = quantile_test(values, p=0.5).confidence_interval(LEVEL)
    if math.isnan(low) or math.isnan(high):
        return Estimate(value=middle)
    return Estimate(value=middle, low=float(low), high=float(high))


def interval(value: float, drawn: Floats) -> Estimate:
    """A value with the percentile interval of its resamples; those that are undefined are left out.

    It holds the value: where the resamples do not differ, rounding may put them beside it.
    """
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value=value)
    low, high = np.quantile(known, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _score_bound(first: int, second: int, n: int) -> float:
    """Largest difference of shares that the score test does not reject, by the discordant counts."""
    from scipy.optimize import root_scalar

    seen = (first - second) / n
    if seen == 1:
        return 1.0
    # From just above what was seen to 1: the bound may be anywhere, the more problems the nearer.
    deltas = seen + (1 - seen) * np.geomspace(1e-9, 1, 400)
    kept = np.flatnonzero(_rejection(deltas, first, second, n) < 0)
    if not len(kept) or kept[-1] == len(deltas) - 1:
        return 1.0
    ends = (float(deltas[kept[-1]]), float(deltas[kept[-1] + 1]))

    def rejection(delta: float) -> float:
        return float(_rejection(np.array(delta), first, second, n))

    return float(root_scalar(rejection, bracket=ends).root)


def _rejection(delta: Floats, first: int, second: int, n: int) -> Floats:
    """Above 0 where the score test rejects a difference that is larger than the one seen.

    Tango's statistic, whose null distribution is skewed where few problems are discordant, with the first
    term of that skewness (Gart and Nam, 1988; Laud, 2017).
    """
    linear = (2 * n - first + second) * delta - first - second
    constant = -second * delta * (1 - delta)
    root = np.sqrt(np.maximum(linear * linear - 8 * n * constant, 0.0))
    second_alone = (root - linear) / (4 * n)  # likeliest share of the second alone under this delta
    first_alone = second_alone + delta
    neither_alone = 1 - first_alone - second_alone
    variance = np.maximum(first_alone + second_alone - delta**2, 1e-300)
    third = first_alone * (1 - delta) ** 3 - second_alone * (1 + delta) ** 3 - neither_alone * delta**3
    skewness = np.clip(third / variance, -2.0, 2.0) * (Z * Z - 1) / 6
    return n * delta - (first - second) + skewness - Z * np.sqrt(n * variance)
