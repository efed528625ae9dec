"""Scores between 0 and 1: their means, and what two arms' scores on the same problems say. 95% throughout.

Where every score is 0 or 1 the statistics of shares say more, and are used instead: see `statistics`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from app.compare.power import MOST_PROBLEMS, POWER
from app.compare.resampling import SEED, resampled_means
from app.compare.results import Estimate, Power
from app.compare.statistics import ALPHA, PairedCounts, interval, share, standard_normal, wilson

Floats = NDArray[np.float64]

FLIPS = 10_000
_CHUNK = 2_000_000  # signs that are in memory at once
_ROUNDING = 1e-12


def is_graded(worth: Floats) -> bool:
    """Whether any known score is neither 0 nor 1."""
    known = worth[~np.isnan(worth)]
    return bool(((known != 0) & (known != 1)).any())


def mean_worth(worth: Floats, *, graded: bool) -> Estimate | None:
    """Mean score, NaN left out: with the percentile interval of resampled problems where scores are graded,
    else as a share with Wilson's. None for the mean of nothing."""
    if not graded:
        return share(worth)
    known = worth[~np.isnan(worth)]
    if not len(known):
        return None
    return _resampled(float(known.mean()), resampled_means(known[:, None])[:, 0], len(known), least=0.0)


def mean_difference(differences: Floats, drawn: Floats) -> Estimate | None:
    """Mean difference of two arms' scores with the percentile interval of resampled problems; None of none.

    Args:
        differences: (n,) of the problems that both know. drawn: resampled means of them.
    """
    if not len(differences):
        return None
    return _resampled(float(differences.mean()), drawn, len(differences), least=-1.0)


def _resampled(mean: float, drawn: Floats, count: int, *, least: float) -> Estimate:
    """The percentile interval of a mean of `count` numbers from `least` to 1.

    Where all problems have the same number, so have all resamples, which say nothing then of other problems.
    The interval is Wilson's in that case, as if every number were one end or the other: none of that mean
    spread more.
    """
    found = interval(mean, drawn)
    if found.low is None or found.high is None or found.high - found.low > _ROUNDING:
        return found
    span = 1 - least
    low, high = wilson((mean - least) / span * count, count)
    return Estimate(value=mean, low=min(mean, least + span * low), high=max(mean, least + span * high))


def graded_counts(first: Floats, second: Floats) -> PairedCounts:
    """Problems that both know: on which one scores higher, or both the same, above 0 or 0."""
    known = ~np.isnan(first) & ~np.isnan(second)
    mine, theirs = first[known], second[known]
    same = mine == theirs
    return PairedCounts(
        both=int((same & (mine > 0)).sum()),
        first_only=int((mine > theirs).sum()),
        second_only=int((mine < theirs).sum()),
        neither=int((same & (mine == 0)).sum()),
    )


def sign_flip_p(differences: Floats) -> float | None:
    """Two-sided p of the paired permutation test of a mean difference, by 10,000 random sign flips.

    If the arms are alike, every difference is as likely as its opposite. On zeros and ones this is McNemar's
    test. The observed signs count as one of the flips, so that p is never 0. None without differences.
    """
    if not len(differences):
        return None
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    seen = abs(float(moved.sum()))
    generator = np.random.default_rng(SEED)
    step = max(1, _CHUNK // len(moved))
    as_large = 1
    for start in range(0, FLIPS - 1, step):
        count = min(step, FLIPS - 1 - start)
        signs = generator.integers(0, 2, (count, len(moved))) * 2.0 - 1.0
        as_large += int((np.abs(signs @ moved) >= seen - _ROUNDING * len(moved)).sum())
    return as_large / FLIPS


def graded_power(differences: Floats) -> Power:
    """What it takes to tell two arms apart if their scores spread as here, by the normal distribution."""
    count = len(differences)
    if not count:
        return Power(reason="The arms have no problem in common.")
    spread = float(differences.std())
    if not spread:
        return Power(reason="The arms' scores differ by the same on every problem.")
    needed_deviations = standard_normal(1 - ALPHA / 2) + standard_normal(POWER)
    detectable = needed_deviations * spread / math.sqrt(count)
    mean = abs(float(differences.mean()))
    if mean < _ROUNDING:
        return Power(
            detectable=detectable, reason="No difference was seen, so no number of problems shows it."
        )
    needed = math.ceil((needed_deviations * spread / mean) ** 2)
    if needed > MOST_PROBLEMS:
        return Power(
            detectable=detectable,
            reason=f"The difference is so small that more than {MOST_PROBLEMS:,} problems would be needed.",
        )
    return Power(problems_needed=needed, detectable=detectable)
