"""Slots are shared out by max-min fairness, over clients, requests and choices."""

from hypothesis import given
from hypothesis import strategies as st

from app.engine.lanes import shares

demands = st.lists(st.integers(0, 40), max_size=12)


@given(st.integers(0, 64), demands)
def test_all_is_given_and_nobody_gets_more_than_asked_for(total: int, asked: list[int]) -> None:
    given = shares(total, asked)
    assert sum(given) == min(total, sum(asked))
    assert all(0 <= got <= wanted for got, wanted in zip(given, asked, strict=True))


@given(st.integers(0, 64), demands)
def test_whoever_goes_short_has_no_less_than_anybody_but_for_one(total: int, asked: list[int]) -> None:
    given = shares(total, asked)
    for index, (got, wanted) in enumerate(zip(given, asked, strict=True)):
        if got < wanted:
            # Where it does not come out even, the earlier one has the one more.
            assert all(other <= got + (before < index) for before, other in enumerate(given))


@given(st.integers(0, 64), demands, st.integers(0, 11))
def test_one_more_who_asks_takes_from_those_with_most(total: int, asked: list[int], more: int) -> None:
    alone, joined = shares(total, asked), shares(total, [*asked, more])
    assert all(after <= before for before, after in zip(alone, joined, strict=False))
    assert joined[-1] >= min(more, total // (len(asked) + 1))


def test_an_example_by_hand() -> None:
    assert shares(32, [128, 5, 1]) == [26, 5, 1]
    assert shares(32, [128, 128, 1]) == [16, 15, 1]
    assert shares(3, [1, 1, 1, 1]) == [1, 1, 1, 0]
