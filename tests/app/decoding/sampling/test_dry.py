"""DRY against a search of every earlier place, tail by tail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.sampling.dry import dry_penalties

VOCABULARY = [b"a", b" b", b"c\n", b"", b"*d", b"\nx", b"ef", b"fg"]
BREAKERS = ["\n", "*", "ffg"]
IDS = st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=60)


def without_haste(
    ids: list[int], breakers: list[str], multiplier: float, base: float, allowed: int, last_n: int
) -> dict[int, float]:
    """For each next token the longest tail of the text that stood before it earlier, no breaker in it."""
    window = ids if last_n < 0 else ids[len(ids) - min(last_n, len(ids)) :]
    found: dict[int, int] = {}
    for length in range(1, len(window)):
        tail = window[-length:]
        # The tail must begin after the token in which the last breaker ends.
        text, before = text_of(tail), text_of(window[:-length])
        if any(breaker.encode() in text for breaker in breakers):
            break
        if any(ends_within(before, text, breaker.encode()) for breaker in breakers):
            break
        for start in range(len(window) - length):
            if window[start : start + length] == tail:
                found[window[start + length]] = length
    return {
        token_id: multiplier * base ** (length - allowed)
        for token_id, length in found.items()
        if length >= allowed and not any(each.encode() in VOCABULARY[token_id] for each in breakers)
    }


def text_of(ids: list[int]) -> bytes:
    return b"".join(VOCABULARY[token_id] for token_id in ids)


def ends_within(before: bytes, tail: bytes, breaker: bytes) -> bool:
    """Whether a breaker that begins before the tail ends in it."""
    return any(
        (before + tail)[start:].startswith(breaker) and start + len(breaker) > len(before)
        for start in range(len(before))
    )


@given(IDS, st.sampled_from([BREAKERS, [], ["b"]]), st.integers(1, 4), st.sampled_from([-1, 0, 5, 30]))
def test_penalties_are_those_of_the_longest_repetition(
    ids: list[int], breakers: list[str], allowed: int, last_n: int
) -> None:
    ours = dry_penalties(
        ids,
        VOCABULARY,
        multiplier=0.8,
        base=1.75,
        allowed_length=allowed,
        last_n=last_n,
        breakers=breakers,
    )
    assert ours == without_haste(ids, breakers, 0.8, 1.75, allowed, last_n)


@given(st.lists(st.integers(0, 2), max_size=80))
def test_long_repetitions_of_few_tokens(ids: list[int]) -> None:
    ours = dry_penalties(ids, (), multiplier=1.0, base=1.1, allowed_length=2, last_n=-1, breakers=["never"])
    assert ours == without_haste(ids, [], 1.0, 1.1, 2, -1)


@pytest.mark.parametrize(("allowed", "expected"), [(2, {6: 2.0}), (1, {6: 6.0}), (3, {})])
def test_an_example_by_hand(allowed: int, expected: dict[int, float]) -> None:
    """After a b c a b, a c would go on with a repetition of two tokens."""
    ours = dry_penalties(
        [0, 1, 6, 0, 1],
        VOCABULARY,
        multiplier=2.0,
        base=3.0,
        allowed_length=allowed,
        last_n=-1,
        breakers=(),
    )
    assert ours == expected


def test_even_the_longest_repetition_has_a_finite_penalty() -> None:
    penalty = dry_penalties(
        [0] * 5000, VOCABULARY, multiplier=100.0, base=100.0, allowed_length=2, last_n=-1, breakers=()
    )
    assert penalty == {0: 1e30}
