"""The sequence handle, driven by hand: every token it asks for comes from a script."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.core.commands import ForcedToken, NextToken
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec, text_ends_with
from app.decoding.core.text import Ledger
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.errors import StrategyError

T = TypeVar("T")
END = 0
VOCABULARY = [b"", *(bytes([byte]) for byte in range(1, 256)), "né".encode(), b" stop"]
WORD, STOP = 256, 257


def make(
    max_tokens: int = 100, context_length: int = 100, prompt: tuple[int, ...] = (5, 6), **stopping: Any
) -> Sequence:
    spec = SequenceSpec(
        prompt_ids=prompt,
        sampling=SamplingParams(),
        stopping=StoppingParams(max_tokens=max_tokens, **stopping),
        context_length=context_length,
        end_token_ids=(END,),
        vocabulary=VOCABULARY,
        encode=lambda text: list(text.encode()),
    )
    return Sequence(spec, Ledger())


def write(sequence: Sequence, ids: list[int]) -> None:
    for token_id in ids:
        sequence.accept(Token(token_id, -1.0, {}))


def drive(coroutine: Coroutine[Any, Any, T], ids: list[int]) -> T:
    """Answer each request of the coroutine, for a token that is drawn with the next id."""
    script = iter(ids)
    value: Token | None = None
    while True:
        try:
            request = coroutine.send(value)
        except StopIteration as stop:
            return stop.value
        if isinstance(request, ForcedToken):
            value = Token(request.token_id, -20.0, {}, forced=True)
        else:
            assert isinstance(request, NextToken)
            value = Token(next(script), -1.0, {})
        request.sequence.accept(value)


def ids_of(sequence: Sequence) -> list[int]:
    return [token.id for token in sequence.tokens]


# Endings


def test_the_end_token_ends_it_and_has_no_text() -> None:
    sequence = make()
    write(sequence, [WORD, END])
    assert sequence.ending is not None
    assert (sequence.ending.reason, sequence.ending.stop_reason) == ("stop", None)
    assert sequence.ending.ended_by_token
    assert sequence.text == "né"


def test_the_end_token_can_be_ignored() -> None:
    sequence = make(ignore_eos=True)
    write(sequence, [END, WORD])
    assert not sequence.finished


def test_a_stop_token_is_named_as_the_reason() -> None:
    sequence = make(stop_token_ids=(WORD,))
    write(sequence, [65, WORD])
    assert sequence.ending is not None
    assert sequence.ending.stop_reason == WORD


@pytest.mark.parametrize(("max_tokens", "context_length", "written"), [(3, 100, 3), (100, 6, 4), (0, 9, 0)])
def test_length_is_bounded_by_max_tokens_and_by_the_context(
    max_tokens: int, context_length: int, written: int
) -> None:
    sequence = make(max_tokens, context_length)
    while not sequence.finished:
        write(sequence, [65])
    assert sequence.position == written
    assert sequence.ending is not None
    assert sequence.ending.reason == "length"


def test_a_stop_wins_over_length_on_the_same_token() -> None:
    sequence = make(max_tokens=1)
    write(sequence, [END])
    assert sequence.ending is not None
    assert sequence.ending.reason == "stop"


ALPHABET = st.sampled_from("abcé")


@given(
    st.lists(st.text(ALPHABET, max_size=5), min_size=1, max_size=12),
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_stop_string_is_found_wherever_tokens_divide_it(pieces: list[str], stops: list[str]) -> None:
    spec = SequenceSpec(
        (0,),
        SamplingParams(),
        StoppingParams(99, tuple(stops)),
        999,
        (),
        [piece.encode() for piece in pieces],
        lambda _: [],
    )
    sequence = Sequence(spec, Ledger())
    text = ""
    for index, piece in enumerate(pieces):
        text += piece
        write(sequence, [index])
        present = [stop for stop in stops if stop in text]
        assert sequence.finished == bool(present)
        if present:
            start = min(text.encode().find(stop.encode()) for stop in present)
            assert sequence.ending is not None
            assert len(text.encode()) - sequence.ending.cut == start
            assert sequence.ending.stop_reason in present
            break


# Rewind, force, fork, finish


def test_rewind_takes_tokens_back_and_reopens_a_finished_text() -> None:
    sequence = make()
    write(sequence, [65, 66, END])
    sequence.rewind(1, "regret", {"score": 0.9})
    assert ids_of(sequence) == [65]
    assert not sequence.finished
    assert sequence.context.ids == [5, 6, 65]
    (event,) = sequence.ledger.events
    assert (event.position, event.rule) == (1, "regret")
    assert event.detail == {"discarded": 2, "score": 0.9}
    assert sequence.ledger.spent == 3


def test_every_redraw_of_a_position_counts_as_an_attempt() -> None:
    sequence = make()
    write(sequence, [65, 66, 67])
    sequence.rewind(1, "first")
    assert sequence.attempt == 1
    write(sequence, [66])
    assert sequence.attempt == 1
    sequence.rewind(0, "second")
    assert sequence.attempt == 1
    write(sequence, [65])
    assert sequence.attempt == 2


@pytest.mark.parametrize("to", [-1, 4])
def test_rewind_outside_the_text_is_refused(to: int) -> None:
    sequence = make()
    write(sequence, [65, 66, 67])
    with pytest.raises(StrategyError, match=rf"rewind\(to={to}\); it must be between 0"):
        sequence.rewind(to, "x")


def test_finishing_a_text_that_has_ended_brings_nothing_back_that_ended_it() -> None:
    stopped, cut = make(stop_token_ids=(66,)), make(stop=(" stop",))
    write(stopped, [65, 66])
    write(cut, [65, STOP])
    for sequence in (stopped, cut):
        before = sequence.ending
        sequence.finish("enough")
        after = sequence.ending
        assert before is not None
        assert after is not None
        assert (after.reason, after.stop_reason) == ("stop", "enough")
        assert (after.cut, after.ended_by_token) == (before.cut, before.ended_by_token)


def test_forks_are_independent_and_have_branches_of_their_own() -> None:
    sequence = make()
    write(sequence, [65])
    sequence.rewind(0, "x")
    write(sequence, [66])
    left, right = sequence.fork(2)
    (later,) = left.fork()
    write(left, [67])
    right.rewind(0, "y")
    assert (ids_of(sequence), ids_of(left), ids_of(right), ids_of(later)) == ([66], [66, 67], [], [66])
    branches = [each.branch for each in (sequence, left, right, later)]
    assert branches == [(0,), (0, 0), (0, 1), (0, 0, 0)]
    assert sequence.fork()[0].branch == (0, 2)
    with pytest.raises(StrategyError, match="n must be at least 1"):
        sequence.fork(0)


def test_finish_ends_with_the_strategys_reason() -> None:
    sequence = make()
    write(sequence, [65])
    sequence.finish("confident")
    assert sequence.ending is not None
    assert (sequence.ending.reason, sequence.ending.stop_reason) == ("stop", "confident")
    with pytest.raises(StrategyError, match="next"):
        sequence.next()


# Commit


def test_what_is_committed_cannot_be_rewound() -> None:
    sequence = make()
    write(sequence, [65, 66])
    sequence.commit()
    write(sequence, [67])
    sequence.rewind(2, "fine")
    with pytest.raises(StrategyError, match="tokens committed"):
        sequence.rewind(1, "too far")
    (fork,) = sequence.fork()
    with pytest.raises(StrategyError, match="tokens committed"):
        fork.rewind(1, "too far")


def test_a_branch_with_other_tokens_cannot_commit() -> None:
    sequence = make()
    left, right = sequence.fork(2)
    write(left, [65, 66])
    write(right, [65, 67])
    left.commit()
    with pytest.raises(StrategyError, match="does not begin with the 2 tokens"):
        right.commit()
    (heir,) = left.fork()
    write(heir, [68])
    heir.commit()
    assert (heir.ledger.output, heir.ledger.committed) == (heir, 3)


# Extend and spans


def test_extend_stops_where_it_is_told_and_where_the_text_ends() -> None:
    sequence = make(max_tokens=7)
    span = drive(sequence.extend(text_ends_with("B")), [65, 66])
    assert (span.start, span.end, span.text, span.last.id) == (0, 2, "AB", 66)
    span = drive(sequence.extend(max_tokens=2), [67, 68])
    assert (span.start, span.text) == (2, "CD")
    sequence.rewind(3, "x")
    assert span.text == "CD"
    span = drive(sequence.extend(text_ends_with("never")), [69, 70, 71, 72])
    assert span.text == "EFGH"
    assert sequence.finished
    empty = drive(sequence.extend(), [])
    assert (empty.start, empty.tokens) == (7, ())
    with pytest.raises(StrategyError, match="is empty"):
        _ = empty.last


def test_text_reads_incomplete_characters_as_replacement() -> None:
    sequence = make()
    write(sequence, [0xC3])
    assert sequence.text == "\ufffd"
    write(sequence, [0xA9])
    assert sequence.text == "é"


def test_coins_are_fair_fresh_and_repeatable_and_draws_do_not_notice_them() -> None:
    first, second = make(), make()
    coins = [first.coin("stop") for _ in range(2000)]
    assert [second.coin("stop") for _ in range(2000)] == coins
    assert len(set(coins)) == len(coins)
    assert abs(sum(coin < 0.3 for coin in coins) / len(coins) - 0.3) < 0.04
    (child,) = first.fork()
    assert child.coin("stop") not in coins
    assert make().coin("stop") != make().coin("go")
    assert first.attempt == make().attempt
