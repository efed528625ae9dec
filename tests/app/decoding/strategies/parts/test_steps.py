"""Steps as strategies see them, against the rule by which probes are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.core.span import SequenceSpec, Span
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.parts.answers import ANSWER_MARKER, read_answer
from app.decoding.strategies.parts.steps import STEP_ENDS, closes_step, is_step_end, step_written
from app.decoding.strategies.parts.trigger import Firing, Trigger
from probes.position import split_steps

VOCABULARY = [b"", b"\n", b". ", b".", b"a", b" b", b"7.5", b"! "]
CLOSING = {1, 2, 3}
SPEC = SequenceSpec((4,), SamplingParams(), StoppingParams(99), 99, (0,), VOCABULARY, lambda _: [])


def tokens_of(ids: list[int]) -> tuple[Token, ...]:
    return tuple(Token(token_id, -1.0, {}) for token_id in ids)


def test_a_token_closes_a_step_by_its_text() -> None:
    assert {id_ for id_ in range(len(VOCABULARY)) if is_step_end(SPEC, id_, STEP_ENDS)} == CLOSING
    assert is_step_end(SPEC, 7, ("!",))


@given(st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=20))
def test_steps_end_where_probes_see_them_end(ids: list[int]) -> None:
    complete = step_written(STEP_ENDS)
    start = 0
    ends: list[int] = []
    for index in range(len(ids)):
        if complete(Span(start, tokens_of(ids[start : index + 1]), SPEC)):
            ends.append(index)
            start = index + 1
    expected = [
        step[-1] for _, step in split_steps(ids, CLOSING) if len(step) > 1 and ids[step[-1]] in CLOSING
    ]
    assert ends == expected


LETTERS = [b"\n", b"\n\n", b" ", b"a", b"a\n", b"\nb", b". "]
LETTER_SPEC = SequenceSpec((3,), SamplingParams(), StoppingParams(99), 99, (99,), LETTERS, lambda _: [])


@given(st.lists(st.integers(0, len(LETTERS) - 1), min_size=1, max_size=20))
def test_a_blank_line_ends_a_step_however_it_is_cut_into_tokens(ids: list[int]) -> None:
    """By the text: where it ends with a blank line, spaces apart, since the last token that is no space."""
    closes = closes_step(LETTER_SPEC, tokens_of(ids), ("\n\n",))
    text = b"".join(LETTERS[each] for each in ids).decode()
    spaces_alone = ids[-1] == 2
    assert closes == (not spaces_alone and text.rstrip(" ").endswith("\n\n"))


@given(st.lists(st.integers(0, len(VOCABULARY) - 1), min_size=1, max_size=12))
def test_ends_of_one_character_are_those_of_the_last_token(ids: list[int]) -> None:
    assert closes_step(SPEC, tokens_of(ids), STEP_ENDS) == is_step_end(SPEC, ids[-1], STEP_ENDS)


def test_a_step_of_free_text_ends_with_its_paragraph() -> None:
    complete = step_written(("\n\n",))
    ids = [3, 6, 4, 3, 0, 0, 3]  # "a. a\na\n\na"
    found = [complete(Span(0, tokens_of(ids[: length + 1]), LETTER_SPEC)) for length in range(len(ids))]
    assert found == [False, False, False, False, False, True, False]


def test_a_trigger_fires_beyond_its_threshold_on_the_first_token_that_has_the_signal() -> None:
    values = [None, 0.5, 0.9, 0.2]
    tokens = [Token(4, -1.0, {} if value is None else {"x": value}) for value in values]
    assert Trigger(signal="x", threshold=0.5).first(tokens) == Firing(2, 0.9)
    assert Trigger(signal="x", threshold=0.9).first(tokens) is None
    assert Trigger(signal="x", threshold=0.5, when="below").first(tokens) == Firing(3, 0.2)
    assert Trigger(signal="y", threshold=0.0).first(tokens) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a = 7. Answer: 7", "7"),
        ("Answer: 1. No. Answer:  12 .", "12"),
        ("Answer: 7\nand more", "7"),
        ("no marker", None),
        ("Answer:", None),
        ("Answer: \n7", None),
        ("", None),
    ],
)
def test_the_answer_follows_the_last_marker(text: str, answer: str | None) -> None:
    assert read_answer(text, ANSWER_MARKER) == answer
