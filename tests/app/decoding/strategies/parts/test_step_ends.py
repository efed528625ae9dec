"""Where steps of free text end: by rule or by a regular expression, over tokens of any cut."""

from collections.abc import Sequence
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.decoding.core.span import SequenceSpec, Span
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.parts import steps as step_ends
from app.decoding.strategies.parts.steps import (
    MOST_ALONE,
    TAIL_BYTES,
    StepEnds,
    closes_step,
    step_begin,
    step_written,
)
from app.errors import ParameterError

ENDS: TypeAdapter[Any] = TypeAdapter(StepEnds)
BYTES = [bytes([byte]) for byte in range(256)]
SPEC = SequenceSpec((65,), SamplingParams(), StoppingParams(9999), 9999, (0,), BYTES, lambda _: [])


def span_of(text: str) -> Span:
    """A text of one token a byte."""
    return Span(0, tuple(Token(byte, -1.0, {}) for byte in text.encode()), SPEC)


def closes(text: str, ends: Any) -> bool:
    return closes_step(SPEC, span_of(text).tokens, ENDS.validate_python(ends))


def steps(text: str, ends: Any) -> list[str]:
    """The text cut into steps as strategies write it, and what is left."""
    complete = step_written(ENDS.validate_python(ends))
    tokens = span_of(text).tokens
    start, found = 0, list[str]()
    for index in range(len(tokens)):
        span = Span(start, tokens[start : index + 1], SPEC)
        if complete(span):
            found.append(span.text)
            start = index + 1
    return [*found, SPEC.text(tokens[start:])]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("line", "a.\nb\n\nc", ["a.\n", "b\n", "\nc"]),
        ("blank_line", "a\nb\n\nc\n \t\nd", ["a\nb\n\n", "c\n \t\n", "d"]),
        ("blank_line", "a\r\n\r\nb", ["a\r\n\r\n", "b"]),
        ("sentence", "It is. Is it? No! So", ["It is.", " Is it?", " No!", " So"]),
        ("sentence", "Dr. Ada, e.g. here. Yes", ["Dr. Ada, e.g. here.", " Yes"]),
        ("sentence", "x = 5. Then", ["x = 5.", " Then"]),
        ("sentence", "1. Go.\n2. Stop.", ["1. Go.", "\n2. Stop.", ""]),
        ("sentence", "a title\nA text", ["a title\n", "A text"]),
        (
            "sentence",
            "\u6211\u597d\u3002\u4f60\u5462\uff1f",
            ["\u6211\u597d\u3002", "\u4f60\u5462\uff1f", ""],
        ),
        ({"pattern": "END"}, "a END b", ["a END", " b"]),
        ({"pattern": r"\[\d+\]"}, "a [12] b[3", ["a [12]", " b[3"]),
        ({"pattern": "(?i)then"}, "if Then not", ["if Then", " not"]),
        (
            {"pattern": "\u00e9|\U0001f6f6"},
            "caf\u00e9 by \U0001f6f6 now",
            ["caf\u00e9", " by \U0001f6f6", " now"],
        ),
        ({"pattern": "a|ab"}, "xab", ["xa", "b"]),
        ({"pattern": r"(?<=\d)"}, "x1y", ["x1", "y"]),
        ({"pattern": r"(\w)\1"}, "book", ["boo", "k"]),
        ([".", "\n"], "a. b\n", ["a.", " b\n", ""]),
    ],
)
def test_where_steps_end(rule: Any, text: str, expected: list[str]) -> None:
    assert steps(text, rule) == expected


@pytest.mark.parametrize(
    ("rule", "plain"),
    [("line", ["\n"]), ({"pattern": r"\.|\n"}, [".", "\n"]), ({"pattern": "\n\n"}, ["\n\n"])],
)
@given(text=st.text(alphabet="a. \n", max_size=30))
def test_rules_are_what_lists_of_texts_are(rule: Any, plain: list[str], text: str) -> None:
    assert steps(text, rule) == steps(text, plain)
    span = span_of(text)
    assert step_begin(span, ENDS.validate_python(rule)) == step_begin(span, ENDS.validate_python(plain))


@given(text=st.text(alphabet="abE ND.", min_size=1, max_size=40), cut=st.integers(1, 5))
def test_it_makes_no_difference_how_a_text_is_cut_into_tokens(text: str, cut: int) -> None:
    pieces = [text[start : start + cut].encode() for start in range(0, len(text), cut)]
    spec = SequenceSpec((0,), SamplingParams(), StoppingParams(99), 99, (99,), pieces, lambda _: [])
    tokens = [Token(index, -1.0, {}) for index in range(len(pieces))]
    ends = ENDS.validate_python({"pattern": "END|a b"})
    expected = bool(pieces[-1].strip()) and regex.search(r"(?:END|a b) *\Z", text) is not None
    assert closes_step(spec, tokens, ends) == expected


def test_spaces_behind_an_end_are_none_and_a_character_is_whole() -> None:
    assert not closes("END ", {"pattern": "END"}), "the end was the token before"
    half = span_of("\u3002").tokens[:2]
    assert not closes_step(SPEC, half, "sentence")
    assert closes_step(SPEC, span_of("\u3002").tokens, "sentence")


def test_an_end_is_looked_for_in_the_last_bytes_of_a_step() -> None:
    assert closes("a" * (TAIL_BYTES - 1) + "b", {"pattern": "a+b"})
    assert not closes("xy" + "a" * TAIL_BYTES, {"pattern": "xya+"})


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(?:a|aa)+b", r"(?s)(?:.|.)+[\x01\x02]"])
def test_a_pattern_that_takes_for_ever_is_the_request_s_fault(pattern: str) -> None:
    with pytest.raises(ParameterError, match=r"takes more than 0\.01 s") as told:
        closes("a" * TAIL_BYTES, {"pattern": pattern})
    assert told.value.param == "strategy.step_ends.pattern"


@pytest.mark.parametrize(
    ("given_ends", "said"),
    [
        ("paragraph", "it is a list of texts, line, sentence, blank_line"),
        (7, "it is a list of texts"),
        (None, "it is a list of texts"),
        ([], "at least 1"),
        ([""], "at least 1 character"),
        ({"pattern": ""}, "at least 1 character"),
        ({"pattern": "a" * 257}, "at most 256"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "a)|(b"}, "is no regular expression"),
        ({"pattern": "a*"}, "matches the empty text"),
        ({"pattern": "a|$"}, "matches the empty text"),
        ({"pattern": "(?x) a"}, "without the flag x"),
        ({"pattern": "(?:a{999}){999}"}, "comes to more than 10000 characters"),
        ({"pattern": "a", "flags": "i"}, "Extra inputs"),
        ({"pattern": "(?R)"}, "takes more than 0.01 s on the empty text"),
        ({"pattern": "(?:abcdefghij){e<=9}"}, "braces that ask for what is like a text"),
        ({"pattern": "(?b)(?:[a-z]{40}){1<=i<3, s<=2:[a-z]}x"}, "braces that ask for what is like a text"),
        ({"pattern": r"\\\\{2i + 3e<5}"}, "braces that ask for what is like a text"),
    ],
)
def test_ends_that_cannot_be_used_are_refused(given_ends: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ENDS.validate_python(given_ends)


@pytest.mark.parametrize("pattern", [r"\\boxed\{\d\}", r"\{e\}", r"\p{Lu}{2,3}", "a{,3}b", r"{(\d+)}", "{}e"])
def test_braces_of_other_kinds_are_taken(pattern: str) -> None:
    ENDS.validate_python({"pattern": pattern})


def test_so_many_closing_tokens_in_a_row_are_a_step() -> None:
    text = "." * (MOST_ALONE + 2) + "a."
    assert steps(text, ["."]) == ["." * MOST_ALONE, "..a.", ""]
    whole = span_of("." * MOST_ALONE)
    assert step_begin(whole, (".",)) == whole.start, "a step is never without tokens"
    assert step_begin(span_of("." * (MOST_ALONE - 1)), (".",)) == MOST_ALONE - 1


def test_what_is_looked_at_after_a_token_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    original = closes_step

    def counted(spec: SequenceSpec, tokens: Sequence[Token], ends: Any) -> bool:
        looked.append(len(tokens))
        return original(spec, tokens, ends)

    monkeypatch.setattr(step_ends, "closes_step", counted)
    span, ends = span_of("a" * 300), ENDS.validate_python({"pattern": "."})
    step_begin(span, ends)
    step_written(ends)(span)
    assert len(looked) <= 2 * MOST_ALONE + 1
