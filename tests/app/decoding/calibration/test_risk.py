"""Thresholds with a guarantee: the maths against scipy and exact fractions, the guarantee by simulation."""

from fractions import Fraction
from math import comb, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.decoding.calibration.risk import (
    Counts,
    RiskKind,
    choose,
    count,
    first_tested,
    lowest_level,
    p_value,
    upper_bound,
)

GRID = tuple(np.linspace(0, 1, 21).tolist())


@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 99))
def test_the_p_value_is_the_binomial_tail_in_whole_numbers(wrong: int, problems: int, percent: int) -> None:
    level = Fraction(percent, 100)
    terms = (
        comb(problems, k) * level**k * (1 - level) ** (problems - k) for k in range(min(wrong, problems) + 1)
    )
    exact = float(sum(terms, Fraction(0)))
    value = p_value(min(wrong, problems), problems, percent / 100)
    assert value == pytest.approx(exact, rel=1e-9)
    assert value == pytest.approx(stats.binom(problems, percent / 100).cdf(min(wrong, problems)), rel=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.001, 0.4))
def test_the_bound_is_where_the_p_value_is_delta(wrong: int, problems: int, delta: float) -> None:
    bound = upper_bound(min(wrong, problems), problems, delta)
    if wrong >= problems:
        assert bound == 1.0
    else:
        assert p_value(wrong, problems, bound) == pytest.approx(delta, rel=1e-6)
        interval = stats.binomtest(wrong, problems, alternative="less").proportion_ci(1 - delta, "exact")
        assert bound == pytest.approx(interval.high, rel=1e-6)


@given(st.integers(0, 10**7), st.integers(1, 10**7), st.floats(1e-6, 0.5))
def test_the_bound_is_never_below_what_was_seen_nor_above_1(wrong: int, problems: int, delta: float) -> None:
    wrong = min(wrong, problems)
    bound = upper_bound(wrong, problems, delta)
    assert wrong / problems <= bound <= 1
    assert (bound == 1) == (wrong == problems)


@given(st.integers(1, 200), st.data())
def test_more_wrong_or_fewer_problems_never_lower_the_bound(problems: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, problems - 1))
    bound = upper_bound(wrong, problems, 0.05)
    assert upper_bound(wrong + 1, problems, 0.05) > bound
    assert upper_bound(wrong, problems + 1, 0.05) < bound
    assert upper_bound(wrong, problems, 0.01) > bound


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.sampled_from(["selective", "overall"]),
    st.floats(0.01, 0.9),
)
def test_the_choice_is_that_of_the_tests_written_out(
    first: list[tuple[float, bool]], second: list[tuple[float, bool]], kind: RiskKind, level: float
) -> None:
    tuning, tested = (count([s for s, _ in each], [w for _, w in each], GRID) for each in (first, second))
    for counts, pairs in ((tuning, first), (tested, second)):
        assert counts.answered == tuple(sum(s <= t for s, _ in pairs) for t in GRID)
        assert counts.wrong == tuple(sum(w for s, w in pairs if s <= t) for t in GRID)
    start = first_tested(tuning, kind, 0.1)
    kept: list[int] = []
    for index in range(start, len(GRID)):
        trials = len(second) if kind == "overall" else tested.answered[index]
        if trials == 0 or stats.binom(trials, level).cdf(tested.wrong[index]) > 0.1:
            break
        kept.append(index)
    chosen = choose(tuning, tested, kind, level, 0.1)
    assert (None if chosen is None else chosen.index) == (kept[-1] if kept else None)
    lowest = lowest_level(tuning, tested, kind, 0.1)
    if lowest < 1:
        assert choose(tuning, tested, kind, lowest, 0.1) is not None
        assert choose(tuning, tested, kind, lowest * 0.999, 0.1) is None


def true_risk(threshold: float, kind: RiskKind) -> float:
    """Scores are uniform, and an answer of score s is wrong with probability s^2 * 0.6."""
    return 0.2 * threshold**2 if kind == "selective" else 0.2 * threshold**3


@pytest.mark.parametrize(("kind", "level"), [("selective", 0.05), ("selective", 0.1), ("overall", 0.03)])
def test_the_risk_is_above_the_level_no_more_often_than_promised(kind: RiskKind, level: float) -> None:
    """1,000 draws of the calibration problems; broken promises are counted against a binomial."""
    generator = np.random.default_rng(7)
    delta, broken, answered = 0.1, 0, 0.0
    for _ in range(1000):
        scores = generator.random(1200)
        wrong = generator.random(1200) < 0.6 * scores**2
        tuning, tested = (
            count(scores[part].tolist(), wrong[part].tolist(), GRID)
            for part in (slice(0, 600), slice(600, 1200))
        )
        chosen = choose(tuning, tested, kind, level, delta)
        if chosen is not None:
            broken += true_risk(GRID[chosen.index], kind) > level
            answered += GRID[chosen.index]
    assert stats.binomtest(broken, 1000, delta, alternative="greater").pvalue > 1e-3
    # And it is no promise that nothing is answered.
    assert answered / 1000 > 0.2


def test_testing_on_the_problems_that_chose_would_break_the_promise() -> None:
    """Why order and tests need problems of their own: scores that say nothing, and the best of many looks."""
    generator = np.random.default_rng(8)
    delta, level = 0.1, 0.2
    broken = {"apart": 0, "same": 0}
    for _ in range(600):
        scores = generator.random(200)
        wrong = generator.random(200) < 0.22
        tuning, tested = (
            count(scores[part].tolist(), wrong[part].tolist(), GRID)
            for part in (slice(0, 100), slice(100, 200))
        )
        broken["apart"] += choose(tuning, tested, "selective", level, delta) is not None
        broken["same"] += choose(tested, tested, "selective", level, delta) is not None
    assert stats.binomtest(broken["apart"], 600, delta, alternative="greater").pvalue > 1e-3
    assert stats.binomtest(broken["same"], 600, delta, alternative="greater").pvalue < 1e-3


def test_scores_that_are_missing_are_above_every_threshold() -> None:
    assert count([nan, inf, 0.5], [True, True, False], [0.4, 1.0]) == Counts(3, (0, 1), (0, 0))
