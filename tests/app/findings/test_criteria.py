"""Verdicts: of one number, by where its interval lies, and of several together."""

from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.compare.results import Estimate
from app.findings.criteria import Between, Criterion, above, below, decide_all, over_seeds
from app.findings.pretraining import rank_correlation

NUMBERS = st.floats(-2, 2)


@st.composite
def intervals(draw: st.DrawFn) -> Estimate:
    low, value, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    return Estimate(value=value, low=low, high=high)


@st.composite
def criteria(draw: st.DrawFn) -> Criterion:
    """Supported up to one threshold, refuted beyond a higher one."""
    first, second = sorted(draw(st.tuples(NUMBERS, NUMBERS)))
    assume(first < second)
    return Criterion("number", "a number", Between(high=first), (Between(low=second),))


@given(criteria(), intervals())
def test_a_verdict_needs_the_whole_interval(criterion: Criterion, measured: Estimate) -> None:
    assert measured.low is not None
    assert measured.high is not None
    first, second = criterion.supported.high, criterion.refuted[0].low
    expected = "supported" if measured.high <= first else "refuted" if measured.low >= second else "undecided"
    assert criterion.decide(measured) == expected


@given(criteria(), intervals(), NUMBERS)
def test_a_wider_interval_never_says_more(criterion: Criterion, measured: Estimate, far: float) -> None:
    wider = Estimate(value=measured.value, low=min(measured.low or 0, far), high=max(measured.high or 0, far))
    assert criterion.decide(wider) in (criterion.decide(measured), "undecided")


@given(criteria())
def test_what_was_not_measured_or_has_no_interval_says_nothing(criterion: Criterion) -> None:
    assert criterion.decide(None) == "undecided"
    assert criterion.decide(Estimate(value=-9.0)) == "undecided"


def test_both_ends_belong_to_a_range_and_neither_to_what_is_above_or_below_it() -> None:
    point = Estimate(value=0.5, low=0.5, high=0.5)
    assert Between(0.5, 0.5).holds(point)
    assert not above(0.5).holds(point)
    assert not below(0.5).holds(point)
    assert above(0.5).high == inf


def test_no_value_may_both_support_and_refute() -> None:
    with pytest.raises(ValueError, match="both support and refute"):
        Criterion("number", "a number", Between(high=0.5), (Between(low=0.5),))
    with pytest.raises(ValueError, match="nothing is between"):
        Between(1.0, 0.0)


@given(st.lists(intervals(), min_size=2, max_size=4))
def test_the_interval_over_seeds_holds_that_of_every_seed(measured: list[Estimate]) -> None:
    joined = over_seeds(measured)
    assert joined is not None
    assert joined.low == min(each.low for each in measured if each.low is not None)
    assert joined.high == max(each.high for each in measured if each.high is not None)
    assert (joined.low or 0) - 1e-9 <= joined.value <= (joined.high or 0) + 1e-9


def test_one_seed_is_not_enough_and_one_without_an_interval_leaves_none() -> None:
    known = Estimate(value=0.1, low=0.0, high=0.2)
    assert over_seeds([known]) is None
    assert over_seeds([]) is None
    assert over_seeds([known, Estimate(value=0.3)]) == Estimate(value=0.2)


@pytest.mark.parametrize(
    ("swapped", "expected"), [([1, 2, 4, 3], 0.8), ([4, 3, 1, 2], -0.8), ([1, 1, 1, 1], 0)]
)
def test_a_rank_correlation_that_is_a_threshold_lies_on_it(swapped: list[float], expected: float) -> None:
    assert rank_correlation([1, 2, 3, 4], swapped) == expected


CONDITION = Criterion("trained", "a condition", Between(low=0.9))
CLAIM = Criterion("gap", "what is claimed", Between(low=0.4), (Between(high=0.15),))


@pytest.mark.parametrize(
    ("trained", "gap", "expected"),
    [
        (0.95, 0.5, "supported"),
        (0.95, 0.1, "refuted"),
        (0.95, 0.3, "undecided"),
        (0.5, 0.5, "undecided"),
        (0.5, 0.1, "undecided"),  # an experiment that did not work refutes nothing
        (None, 0.1, "undecided"),
        (0.95, None, "undecided"),
    ],
)
def test_a_finding_is_decided_by_all_its_numbers(
    trained: float | None, gap: float | None, expected: str
) -> None:
    measured = {
        name: None if value is None else Estimate(value=value, low=value, high=value)
        for name, value in (("trained", trained), ("gap", gap))
    }
    assert decide_all((CONDITION, CLAIM), measured) == expected
