"""How often the 95% intervals of a comparison hold the true value.

Two arms with a known difference are simulated again and again, and their intervals are those of
`app.compare`. For the difference there is also the exact coverage: the sum of the probabilities of all
outcomes whose interval holds the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multinomial

from app.compare.resampling import resampled_means
from app.compare.results import Estimate
from app.compare.statistics import PairedCounts, difference, interval

Floats = NDArray[np.float64]

LARGEST = 1e-6  # outcomes that are together less likely are left out of the exact coverage


@dataclass(frozen=True)
class Scenario:
    """Two arms on so many problems. first_only, second_only: chances that one alone solves a problem."""

    accuracy: float  # of the first
    first_only: float
    second_only: float
    problems: int

    @property
    def truth(self) -> float:
        """True difference."""
        return self.first_only - self.second_only

    @property
    def correlation(self) -> float:
        """Of being right, over problems."""
        second = self.accuracy - self.truth
        both = self.accuracy - self.first_only
        spread = self.accuracy * (1 - self.accuracy) * second * (1 - second)
        return (both - self.accuracy * second) / spread**0.5


SCENARIOS = (
    Scenario(0.97, 0.025, 0.005, 200),
    Scenario(0.97, 0.030, 0.010, 200),
    Scenario(0.97, 0.025, 0.005, 300),
    Scenario(0.97, 0.025, 0.005, 500),
    Scenario(0.97, 0.020, 0.000, 500),
    Scenario(0.99, 0.022, 0.002, 500),
    Scenario(0.90, 0.030, 0.030, 300),
    Scenario(0.88, 0.060, 0.020, 500),
    Scenario(0.70, 0.200, 0.100, 200),
    Scenario(0.50, 0.200, 0.200, 500),
)


def covered(estimate: Estimate | None, truth: float) -> bool:
    """Whether the interval holds the truth; rounding does not decide."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return False
    return estimate.low - 1e-9 <= truth <= estimate.high + 1e-9


def exact_coverage(scenario: Scenario) -> float:
    """Probability that the interval of the difference holds the truth."""
    n = scenario.problems
    chances = [scenario.first_only, scenario.second_only, 1 - scenario.first_only - scenario.second_only]
    most = [int(n * chance + 8 * (n * chance) ** 0.5 + 8) for chance in chances[:2]]
    first, second = (each.ravel() for each in np.meshgrid(*(np.arange(min(n, each) + 1) for each in most)))
    possible = first + second <= n
    tables = np.stack([first, second, n - first - second], axis=1)[possible]
    weights = multinomial.pmf(tables, n, chances)
    order = np.argsort(-weights)
    kept = order[: int(np.searchsorted(np.cumsum(weights[order]), 1 - LARGEST)) + 1]
    return float(
        sum(weights[place] for place in kept if covered(_difference(*tables[place]), scenario.truth))
    )


def simulate(scenario: Scenario, simulations: int, seed: int) -> tuple[Floats, Floats]:
    """1 where the first and where the second arm is right: [problems, simulations] each."""
    random = np.random.default_rng(seed)
    drawn = random.random((scenario.problems, simulations))
    first_only = drawn < scenario.first_only
    second_only = ~first_only & (drawn < scenario.first_only + scenario.second_only)
    both = drawn >= 1 - (scenario.accuracy - scenario.first_only)
    return (both | first_only).astype(float), (both | second_only).astype(float)


def score_coverage(first: Floats, second: Floats, truth: float) -> float:
    """Share of simulations whose score interval holds the truth."""
    won, lost = ((one > other).sum(axis=0) for one, other in ((first, second), (second, first)))
    found = [
        _difference(int(mine), int(theirs), len(first) - int(mine) - int(theirs))
        for mine, theirs in zip(won, lost, strict=True)
    ]
    return _share_covered(found, truth)


def bootstrap_coverage(first: Floats, second: Floats, truth: float) -> float:
    """The same for the bootstrap; every column has the resamples that it would have alone."""
    gaps = first - second
    drawn = resampled_means(gaps)
    found = [interval(float(gaps[:, place].mean()), drawn[:, place]) for place in range(gaps.shape[1])]
    return _share_covered(found, truth)


def cost_coverage(problems: int, simulations: int, seed: int) -> tuple[float, float]:
    """Coverage of the mean of tokens and of their ratio, a tenth of problems costing five times as much."""
    random = np.random.default_rng(seed)
    length = random.lognormal(4, 0.4, (problems, simulations))
    retried = random.random((problems, simulations)) < 0.1
    base = length * random.lognormal(0, 0.1, length.shape)
    tokens = length * np.where(retried, 5.0, 1.0)
    mean = float(np.exp(4 + 0.4**2 / 2)) * 1.4
    ratio = 1.4 / float(np.exp(0.1**2 / 2))
    drawn = resampled_means(np.concatenate([tokens, base], axis=1))
    mine, theirs = drawn[:, :simulations], drawn[:, simulations:]
    means = [interval(float(tokens[:, at].mean()), mine[:, at]) for at in range(simulations)]
    ratios = [
        interval(float(tokens[:, at].mean() / base[:, at].mean()), mine[:, at] / theirs[:, at])
        for at in range(simulations)
    ]
    return _share_covered(means, mean), _share_covered(ratios, ratio)


@cache
def _difference(first_only: int, second_only: int, rest: int) -> Estimate | None:
    return difference(PairedCounts(rest, first_only, second_only, 0))


def _share_covered(found: Sequence[Estimate | None], truth: float) -> float:
    return sum(covered(each, truth) for each in found) / len(found)
