"""How many problems would tell two arms apart: power of McNemar's exact test on paired problems."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.compare.results import Power
from app.compare.statistics import ALPHA, PairedCounts

POWER = 0.8
MOST_PROBLEMS = 10_000_000
_FEW = 5  # discordant problems, below which their rates are guesses
_EXACT_UP_TO = 10_000  # discordant problems; beyond, the normal approximation is within a percent of it

Floats = NDArray[np.float64]


def power_of(counts: PairedCounts) -> Power:
    """What it takes to tell two arms apart if their true rates are those seen here.

    Null with a reason where nothing follows: no problems, no difference, more problems than anyone has.
    """
    n = counts.problems
    if not n:
        return Power(reason="The arms have no problem in common.")
    first, second = counts.first_only / n, counts.second_only / n
    detectable = detectable_difference(first + second, n)
    if counts.first_only == counts.second_only:
        return Power(
            detectable=detectable, reason="No difference was seen, so no number of problems shows it."
        )
    needed = problems_needed(first, second)
    if needed is None:
        reason = f"The difference is so small that more than {MOST_PROBLEMS:,} problems would be needed."
    elif counts.discordant < _FEW:
        reason = f"Rough: the arms differ on {counts.discordant} of {n} problems."
    else:
        reason = None
    return Power(problems_needed=needed, detectable=detectable, reason=reason)


def problems_needed(first_only: float, second_only: float) -> int | None:
    """Fewest problems on which McNemar's exact test at level .05 finds the difference with power .8.

    Args:
        first_only, second_only: shares of problems that one arm solves and the other does not; they differ.

    Returns:
        None if more than `MOST_PROBLEMS` are needed.
    """
    # The approximation comes out somewhat low, since the exact test is careful.
    low = max(1, math.floor(0.8 * _connor(first_only, second_only)))
    if low > MOST_PROBLEMS:
        return None
    high = low
    while power(first_only, second_only, high) < POWER:
        low, high = high, 1 + high * 5 // 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(first_only, second_only, middle) >= POWER else (middle, high)
    return high if high <= MOST_PROBLEMS else None


def detectable_difference(discordant: float, problems: int) -> float | None:
    """Smallest difference that so many problems show with power .8, at this share of discordant problems.

    None where even a difference in all discordant problems would not be seen.
    """
    if discordant <= 0 or power(discordant, 0.0, problems) < POWER:
        return None
    low, high = 0.0, discordant
    while high - low > 1e-4:
        middle = (low + high) / 2
        found = power((discordant + middle) / 2, (discordant - middle) / 2, problems) >= POWER
        low, high = (low, middle) if found else (middle, high)
    return high


def power(first_only: float, second_only: float, problems: int) -> float:
    """Probability that McNemar's exact test at level .05 rejects.

    The number of discordant problems is binomial; given it, so is the number that the first arm wins.
    """
    from scipy.stats import binom  # a second, which a server need not take before it is ready

    discordant = first_only + second_only
    expected = problems * discordant
    if expected > _EXACT_UP_TO:
        return _normal_power(first_only, second_only, problems)
    spread = 7 * math.sqrt(expected * (1 - discordant)) + 7
    numbers = np.arange(
        max(0, math.floor(expected - spread)), min(problems, math.ceil(expected + spread)) + 1
    )
    # Largest count of the loser at which 2 P(X <= count) is at most alpha; alpha / 2 is no binary fraction.
    critical = binom.ppf(ALPHA / 2, numbers, 0.5) - 1
    won = first_only / discordant
    rejected = binom.cdf(critical, numbers, won) + binom.cdf(critical, numbers, 1 - won)
    return float(np.sum(binom.pmf(numbers, problems, discordant) * rejected))


def _connor(first_only: float, second_only: float) -> float:
    """Number of problems by the normal approximation (Connor, 1987)."""
    discordant, difference = first_only + second_only, abs(first_only - second_only)
    test, wanted = NormalDist().inv_cdf(1 - ALPHA / 2), NormalDist().inv_cdf(POWER)
    spread = math.sqrt(max(discordant - difference**2, 0.0))
    return ((test * math.sqrt(discordant) + wanted * spread) / difference) ** 2


def _normal_power(first_only: float, second_only: float, problems: int) -> float:
    discordant, difference = first_only + second_only, abs(first_only - second_only)
    test = NormalDist().inv_cdf(1 - ALPHA / 2)
    distance = difference * math.sqrt(problems) - test * math.sqrt(discordant)
    spread = math.sqrt(max(discordant - difference**2, 0.0))
    return NormalDist().cdf(distance / spread) if spread else float(distance > 0)
