"""Votes, against counting by hand, all ways in which a vote can go on, and scipy's Beta distribution."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.decoding.strategies.parts.voting import Ballot, elect, is_decided, lead_probability, tally

ANSWERS = st.lists(st.sampled_from([*"abc", None]), min_size=1, max_size=7)


def ballots(answers: list[str | None]) -> list[Ballot]:
    return [Ballot(answer, -float((index * 7) % 5)) for index, answer in enumerate(answers)]


@given(ANSWERS)
def test_most_votes_win_and_of_equals_the_earliest(answers: list[str | None]) -> None:
    cast = ballots(answers)
    counted = Counter(answer for answer in answers if answer is not None)
    assert tally(cast) == counted
    elected = elect(cast, "earliest")
    if counted:
        # Counter.most_common keeps the order of first appearance among equals.
        assert cast[elected].answer == counted.most_common(1)[0][0]
    electable = [each for each in cast if each.answer == cast[elected].answer]
    assert cast[elected].logprob == max(each.logprob for each in electable)


def test_ties_by_logprob_go_to_the_likeliest_text() -> None:
    cast = [Ballot("a", -3.0), Ballot("b", -1.0), Ballot("b", -9.0), Ballot("a", -2.0), Ballot("c", 0.0)]
    assert elect(cast, "logprob") == 1
    assert elect(cast, "earliest") == 3


def test_weights_outvote_numbers_and_sums_that_differ_by_rounding_are_ties() -> None:
    heavy = [Ballot("a", -1.0, 0.2), Ballot("a", -1.0, 0.2), Ballot("b", -5.0, 0.9)]
    assert elect(heavy, "earliest") == 2
    tied = [Ballot("a", -2.0, 0.1 + 0.2), Ballot("b", -1.0, 0.3)]
    reverse = [Ballot("a", -2.0, 0.3), Ballot("b", -1.0, 0.1 + 0.2)]
    assert [elect(tied, "earliest"), elect(reverse, "earliest")] == [0, 0]
    assert [elect(tied, "logprob"), elect(reverse, "logprob")] == [1, 1]


def test_without_any_answer_the_likeliest_text_is_returned() -> None:
    assert elect([Ballot(None, -3.0), Ballot(None, -1.0)], "earliest") == 1


@given(ANSWERS, st.integers(0, 4))
def test_decided_means_that_no_further_votes_change_or_tie_the_winner(
    answers: list[str | None], outstanding: int
) -> None:
    counts = Counter(answer for answer in answers if answer is not None)

    def alone_in_front(votes: Counter[str]) -> str | None:
        best = votes.most_common(2)
        return best[0][0] if best and (len(best) == 1 or best[0][1] > best[1][1]) else None

    leader = alone_in_front(counts)
    # A new answer, "d", may come up as well.
    futures = product("abcd", repeat=outstanding)
    always = leader is not None and all(
        alone_in_front(counts + Counter(future)) == leader for future in futures
    )
    assert is_decided(counts, outstanding) == always


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_lead_is_scipys_beta(first: int, second: int, third: int) -> None:
    ordered = sorted([first, second, third], reverse=True)
    expected = stats.beta(ordered[0] + 1, ordered[1] + 1).sf(0.5)
    counts = {"a": float(first), "b": float(second), "c": float(third)}
    assert lead_probability(counts) == pytest.approx(expected, abs=1e-9)
