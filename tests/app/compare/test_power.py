"""Power against simulated experiments and the published approximation."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from app.compare.power import (
    MOST_PROBLEMS,
    POWER,
    detectable_difference,
    power,
    power_of,
    problems_needed,
)
from app.compare.statistics import PairedCounts

PAIRS = [(0.08, 0.03), (0.05, 0.01), (0.2, 0.12), (0.03, 0.0), (0.02, 0.06)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_so_many_problems_find_the_difference_four_times_in_five(first: float, second: float) -> None:
    needed = problems_needed(first, second)
    assert needed is not None
    random = np.random.default_rng(0)
    drawn = random.multinomial(needed, [first, second, 1 - first - second], size=4000)
    outcomes, times = np.unique(drawn[:, :2], axis=0, return_counts=True)
    rejected = np.array([_rejects(int(won), int(lost)) for won, lost in outcomes])
    share = sum(times[rejected]) / sum(times)
    assert share == pytest.approx(power(first, second, needed), abs=0.025)  # four standard errors
    assert power(first, second, needed) >= POWER
    assert power(first, second, needed - 1) < POWER


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_exact_test_needs_somewhat_more_than_the_approximation(first: float, second: float) -> None:
    # Connor (1987), for the test without the caution of an exact one.
    total, gap = first + second, abs(first - second)
    connor = ((norm.ppf(0.975) * np.sqrt(total) + norm.ppf(0.8) * np.sqrt(total - gap**2)) / gap) ** 2
    needed = problems_needed(first, second)
    assert needed is not None
    assert connor * 0.85 < needed < connor * 1.3 + 30


def test_the_exact_power_goes_over_into_the_normal_one() -> None:
    exact = power(0.2505, 0.2495, 399_000)
    assert power(0.2505, 0.2495, 401_000) == pytest.approx(exact, abs=0.003)


@pytest.mark.parametrize(("discordant", "problems"), [(0.1, 500), (0.3, 200), (0.02, 2000)])
def test_the_detectable_difference_is_the_smallest(discordant: float, problems: int) -> None:
    found = detectable_difference(discordant, problems)
    assert found is not None

    def at(gap: float) -> float:
        return power((discordant + gap) / 2, (discordant - gap) / 2, problems)

    assert at(found - 2e-4) < POWER <= at(found)


def test_what_cannot_be_said_has_a_reason() -> None:
    nothing = power_of(PairedCounts(0, 0, 0, 0))
    equal = power_of(PairedCounts(50, 5, 5, 40))
    same = power_of(PairedCounts(50, 0, 0, 50))
    tiny = power_of(PairedCounts(0, 500_001, 500_000, 0))
    few = power_of(PairedCounts(90, 2, 1, 7))
    assert [each.problems_needed for each in (nothing, equal, same, tiny)] == [None] * 4
    assert nothing.reason == "The arms have no problem in common."
    assert equal.reason == same.reason == "No difference was seen, so no number of problems shows it."
    assert f"{MOST_PROBLEMS:,}" in str(tiny.reason)
    assert few.problems_needed is not None
    assert few.reason == "Rough: the arms differ on 3 of 100 problems."
    assert same.detectable is few.detectable is None  # three differences prove nothing, whoever wins them


def _rejects(won: int, lost: int) -> bool:
    return won + lost > 0 and float(binomtest(won, won + lost).pvalue) <= 0.05
