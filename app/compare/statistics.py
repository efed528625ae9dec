"""What counts and measurements allow to say: intervals, tests and their correction. Pure functions, 95%.

Shares have Wilson's interval, paired differences of shares Tango's score interval, medians an interval that
assumes no distribution. Sources and measured coverage: docs/compare.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.stats import quantile_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from app.compare.results import Estimate

Floats = NDArray[np.float64]

LEVEL = 0.95
ALPHA = 1 - LEVEL
Z = NormalDist().inv_cdf(1 - ALPHA / 2)


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
    low, high = proportion_confint(int(known.sum()), len(known), alpha=ALPHA, method="wilson")
    return Estimate(value=float(known.mean()), low=float(low), high=float(high))


def difference(counts: PairedCounts) -> Estimate | None:
    """Share that the first solved minus that of the second, with Tango's score interval (1998).

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
    table = [[counts.both, counts.first_only], [counts.second_only, counts.neither]]
    tested: Any = mcnemar(table, exact=True)
    return min(1.0, float(tested.pvalue))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number (Holm, 1979)."""
    if not values:
        return {}
    corrected: Any = multipletests(list(values.values()), alpha=ALPHA, method="holm")[1]
    return dict(zip(values, map(float, corrected), strict=True))


def median(values: Floats) -> Estimate | None:
    """Median with its interval from order statistics; no interval where there are too few values for one."""
    if not len(values):
        return None
    middle = float(np.median(values))
    low, high = quantile_test(values, p=0.5).confidence_interval(LEVEL)
    if math.isnan(low) or math.isnan(high):
        return Estimate(value=middle)
    return Estimate(value=middle, low=float(low), high=float(high))


def interval(value: float, drawn: Floats) -> Estimate:
    """A value with the percentile interval of its resamples; those that are undefined are left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value=value)
    low, high = np.quantile(known, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(value=value, low=float(low), high=float(high))


def _score_bound(first: int, second: int, n: int) -> float:
    """Largest difference of shares that Tango's score test does not reject, by the discordant counts."""
    seen = (first - second) / n

    def excess(delta: float) -> float:
        linear = (2 * n - first + second) * delta - first - second
        constant = -second * delta * (1 - delta)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        second_alone = (root - linear) / (4 * n)  # likeliest share of the second alone under this delta
        return n * (seen - delta) ** 2 - Z * Z * (2 * second_alone + delta * (1 - delta))

    start = seen + 1e-9  # at `seen` itself both terms are zero if nothing is discordant
    return 1.0 if start >= 1 else float(root_scalar(excess, bracket=(start, 1.0), xtol=1e-12).root)
