"""Intervals and tests against scipy, published values and definitions written out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.multitest import multipletests

from app.compare.resampling import resampled_means
from app.compare.statistics import (
    PairedCounts,
    difference,
    holm,
    interval,
    mcnemar_p,
    median,
    paired_counts,
    share,
    wilson,
)
from tests.app.compare.simulated import ends

counts = st.builds(PairedCounts, *(st.integers(min_value=0, max_value=most) for most in (400, 40, 40, 100)))


def _likeliest(delta: float, first: int, second: int, n: int) -> tuple[float, float, float]:
    """Shares of first alone, second alone and the rest, at which the likelihood is largest; numerically."""

    def loss(q: float) -> float:
        return -float(
            xlogy(first, q + delta) + xlogy(second, q) + xlogy(n - first - second, 1 - 2 * q - delta)
        )

    low, high = max(0.0, -delta), (1 - delta) / 2
    found: Any = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    return found.x + delta, found.x, 1 - 2 * found.x - delta


def _score(delta: float, first: int, second: int, n: int) -> tuple[float, float]:
    """Tango's statistic from its definition, and the skewness of a mean of n such differences."""
    chances, values = np.array(_likeliest(delta, first, second, n)), np.array([1.0, -1.0, 0.0])
    spread = np.sqrt(np.sum(chances * (values - delta) ** 2))
    skewness = np.sum(chances * (values - delta) ** 3) / spread**3 / np.sqrt(n)
    return ((first - second) / n - delta) / (spread / np.sqrt(n)), float(skewness)


@pytest.mark.parametrize(("first", "second", "n"), [(40, 20, 160), (12, 3, 500), (1, 7, 21), (5, 5, 60)])
def test_the_ends_of_a_difference_are_where_the_score_test_just_rejects(
    first: int, second: int, n: int
) -> None:
    low, value, high = ends(difference(PairedCounts(n - first - second, first, second, 0)))
    assert value == (first - second) / n
    for bound, critical in ((low, norm.ppf(0.975)), (high, norm.ppf(0.025))):
        statistic, skewness = _score(bound, first, second, n)
        # Quantile of a distribution with that skewness, by the first term of Cornish and Fisher.
        assert statistic == pytest.approx(critical + skewness * (critical**2 - 1) / 6, abs=1e-4)


def test_without_the_skewness_it_is_a_published_interval() -> None:
    # Airway hyper-responsiveness before and after a transplantation (Bentur et al., 2009), 1 and 7 of 21
    # discordant; Fagerland, Lydersen and Laake (2014) give Tango's interval as -0.517 to -0.026.
    assert [_score(bound, 1, 7, 21)[0] for bound in (-0.517, -0.026)] == pytest.approx(
        [norm.ppf(0.975), norm.ppf(0.025)], abs=0.01
    )
    low, _, high = ends(difference(PairedCounts(1, 1, 7, 12)))
    assert (low, high) == pytest.approx((-0.517, -0.026), abs=0.02)


@pytest.mark.parametrize("n", [1, 2, 10, 100, 1_000_000])
def test_without_a_discordant_problem_the_interval_is_as_wide_as_chance_allows(n: int) -> None:
    low, value, high = ends(difference(PairedCounts(n, 0, 0, 0)))
    assert (low, value) == (-high, 0)
    # A difference of that size stays unseen in all n problems about once in 13 to 40 runs.
    assert high == 1 or 0.02 < (1 - high) ** n < 0.08


@given(counts)
def test_a_difference_is_within_its_interval_and_turns_round_with_the_arms(table: PairedCounts) -> None:
    found = difference(table)
    swapped = difference(PairedCounts(table.both, table.second_only, table.first_only, table.neither))
    if not table.problems:
        assert found is swapped is None
        return
    low, value, high = ends(found)
    assert -1 <= low <= value <= high <= 1
    assert ends(swapped) == (-high, -value, -low)


@given(counts)
def test_mcnemar_is_a_binomial_test_of_the_discordant_problems(table: PairedCounts) -> None:
    if not table.problems:
        assert mcnemar_p(table) is None
    elif not table.discordant:
        assert mcnemar_p(table) == 1
    else:
        assert mcnemar_p(table) == pytest.approx(binomtest(table.first_only, table.discordant).pvalue)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_share_has_wilsons_interval(right: list[bool]) -> None:
    found = share(np.array([*right, np.nan], dtype=float))
    expected = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    assert ends(found) == pytest.approx((expected.low, sum(right) / len(right), expected.high), abs=1e-12)


@given(st.integers(1, 5000), st.data())
def test_wilsons_interval_is_exact_at_its_ends_and_turns_round_with_the_question(n: int, data: Any) -> None:
    k = data.draw(st.one_of(st.sampled_from([0, 1, n - 1, n]), st.integers(0, n)))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    found = share(np.array([1.0] * k + [0.0] * (n - k)))
    assert ends(found) == (low, k / n, high)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30), st.integers(1, 7), st.booleans())
def test_the_interval_of_a_mean_or_a_ratio_holds_it(costs: list[int], factor: int, same: bool) -> None:
    first = np.array([costs[0] if same else cost for cost in costs], dtype=np.float64)
    second = factor * first + 3
    drawn = resampled_means(np.stack([first, second], axis=1))
    mean = interval(float(first.mean()), drawn[:, 0])
    ratio = interval(float(first.sum() / second.sum()), drawn[:, 0] / drawn[:, 1])
    for found, smallest, largest in (
        (mean, first.min(), first.max()),
        (ratio, (first / second).min(), (first / second).max()),
    ):
        low, value, high = ends(found)
        assert low <= value <= high
        assert smallest - 1e-12 <= low
        assert high <= largest + 1e-12


@given(counts)
def test_p_values_are_probabilities(table: PairedCounts) -> None:
    p = mcnemar_p(table)
    assert p is None or 0 <= p <= 1
    swapped = PairedCounts(table.both, table.second_only, table.first_only, table.neither)
    assert mcnemar_p(swapped) == p


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_share_of_nothing_is_unknown() -> None:
    assert share(np.array([np.nan])) is None


@settings(max_examples=3)  # statsmodels collects garbage at every call
@given(st.dictionaries(st.text(max_size=4), st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_that_of_statsmodels(values: dict[str, float]) -> None:
    expected: Any = multipletests(list(values.values()), method="holm")[1]
    assert list(holm(values).items()) == [
        (name, pytest.approx(value)) for name, value in zip(values, expected, strict=True)
    ]


@settings(max_examples=40)
@given(st.integers(min_value=1, max_value=80), st.integers(min_value=0, max_value=99))
def test_a_median_lies_between_order_statistics(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(size=n)
    found = median(values)
    assert found is not None
    assert found.value == pytest.approx(np.median(values))
    ordered = np.sort(values)
    # The widest ranks that leave at most 2.5% on either side.
    below = int(binom.ppf(0.025, n, 0.5))
    if below == 0:
        assert found.low is found.high is None
        return
    assert (found.low, found.high) == (ordered[below - 1], ordered[n - below])


def test_an_interval_leaves_undefined_resamples_out() -> None:
    drawn = np.array([np.nan, np.inf, *np.linspace(0, 1, 1001)])
    found = interval(0.4, drawn)
    assert ends(found) == pytest.approx((0.025, 0.4, 0.975))
    assert interval(0.4, np.array([np.nan])).low is None


def test_a_pair_is_counted_where_both_are_known() -> None:
    first = np.array([1, 1, 0, 0, np.nan, 1])
    second = np.array([1, 0, 1, 0, 1, np.nan])
    assert paired_counts(first, second) == PairedCounts(1, 1, 1, 1)
