"""Steps of a text, such as its sentences, as strategies see them.

Where steps end with texts of one token each, it is the same as where probes are read (`probes.position`).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import regex
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from app.decoding.core.span import SequenceSpec, Span, Until
from app.decoding.core.types import Token
from app.errors import ParameterError
from app.invalid import refusal, show
from app.patterns import is_fuzzy, require_pattern

SEARCH_SECONDS = 0.01
"""Most processor time of a search for the end of a step; the whole engine waits meanwhile."""

TAIL_BYTES = 256
"""Most bytes of a step, its last, that are searched for its end. A character may be cut in two by them."""

MOST_ALONE = 16
"""So many closing tokens in a row are a step; fewer stand alone before one. They are all looked at again
after each token, and a pattern may have any token close a step."""

StepRule = Literal["line", "sentence", "blank_line"]


class StepPattern(BaseModel):
    """A step ends where a regular expression finds something at the end of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str = Field(
        min_length=1,
        max_length=256,
        description="A regular expression, Python's, that matches the end of a step, spaces behind it apart. "
        f"It sees the last {TAIL_BYTES} bytes of the step.",
    )

    @field_validator("pattern")
    @classmethod
    def _can_be_used(cls, pattern: str) -> str:
        try:
            require_pattern(pattern)
            at_end = regex.compile(_at_end(pattern))
        except (ValueError, regex.error) as error:
            raise refusal("pattern", f"it {error}") from error
        if is_fuzzy(pattern):  # time is not looked at while that is searched
            raise refusal(
                "pattern",
                "it has braces that ask for what is like a text, as {e<=1} does; put a backslash before the "
                "brace if it is meant as it stands",
            )
        try:
            is_empty = at_end.search("", timeout=SEARCH_SECONDS) is not None
        except TimeoutError as error:
            raise refusal(
                "pattern",
                f"it takes more than {SEARCH_SECONDS:g} s on the empty text; write one that is not searched "
                "within itself",
            ) from error
        if is_empty:
            raise refusal(
                "pattern",
                "it matches the empty text, so that every token would end a step; write one that needs a "
                "character",
            )
        return pattern


def _of_a_kind(ends: Any) -> Any:
    if isinstance(ends, list | tuple | dict | StepPattern) or ends in get_args(StepRule):
        return ends
    rules = ", ".join(get_args(StepRule))
    raise refusal("step_ends", f'it is a list of texts, {rules}, or {{"pattern": ...}}', "invalid_type")


Texts = tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
StepEnds = Annotated[
    Annotated[Texts, Field(min_length=1, max_length=16, fail_fast=True)] | StepRule | StepPattern,
    BeforeValidator(_of_a_kind),
    Field(
        description="A step ends with a token whose text ends with one of these, spaces behind it apart. One "
        "of several characters, such as a blank line, may be spread over several tokens. In the place of a "
        'list: line, sentence or blank_line, or {"pattern": ...} with a regular expression.',
    ),
]

STEP_ENDS = (".", "\n")

_SHORT = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Fig", "Eq", "vs", "cf", "e", "e.g", "i", "i.e")
_NOT_AFTER = rf"(?<!\b(?:{'|'.join(map(regex.escape, _SHORT))}))(?<!(?:^|\n)[ \t]*\d{{1,2}})"
_RULES: dict[StepRule, str] = {
    "line": r"\n",
    "blank_line": r"\n[ \t\r]*\n",
    # Not the dot of an abbreviation, or of a number that begins a line. A point within a number is taken for
    # an end: what comes behind it is not there yet.
    "sentence": rf"\n|[\u3002\uff01\uff1f]|(?:[!?\u2026]|{_NOT_AFTER}\.)[\"'\u201d\u2019\u00bb)\]]*",
}


def is_step_end(spec: SequenceSpec, token_id: int, ends: tuple[str, ...]) -> bool:
    """Whether a token closes a step: its text ends with one of `ends`, spaces behind it apart."""
    return _ends_with(spec.vocabulary[token_id], ends)


def closes_step(spec: SequenceSpec, tokens: Sequence[Token], ends: StepEnds) -> bool:
    """Whether the last of some tokens closes a step: by itself, or with those before it.

    The last may not be all spaces: these stand behind an end, and are none.

    Raises:
        ParameterError: a pattern takes too long on this text.
    """
    last = spec.vocabulary[tokens[-1].id]
    if not isinstance(ends, tuple):
        if not last.strip(b" "):
            return False
        text = _tail(spec, tokens, TAIL_BYTES).decode(errors="replace")
        return _found_at_end(_RULES[ends] if isinstance(ends, str) else ends.pattern, text)
    if is_step_end(spec, tokens[-1].id, ends):
        return True
    longest = max((len(end.encode()) for end in ends), default=0)
    if longest < 2 or not last.strip(b" "):
        return False
    return _ends_with(_tail(spec, tokens, len(last) + longest - 1), ends)


def step_begin(span: Span, ends: StepEnds) -> int:
    """Position of a step's first token, after closing tokens that stand alone before it; the end of the span
    if there are none but these. So many of them as are a step, `MOST_ALONE`, do not stand alone."""
    alone = _alone(span, len(span.tokens), ends)
    return span.start + (0 if alone == MOST_ALONE else alone)


def step_written(ends: StepEnds) -> Until:
    """Complete with the token that closes the step. A closing token that stands alone, as a line break
    before an answer may, is no step, unless it is the last of `MOST_ALONE`."""

    def is_complete(span: Span) -> bool:
        if not closes_step(span.spec, span.tokens, ends):
            return False
        before = len(span.tokens) - 1
        return _alone(span, before, ends) < before or before == MOST_ALONE - 1

    return is_complete


def _alone(span: Span, count: int, ends: StepEnds) -> int:
    """How many of the span's first tokens close a step without anything before them, of `count` and at most
    `MOST_ALONE`."""
    most = min(count, MOST_ALONE)
    closed = (closes_step(span.spec, span.tokens[: index + 1], ends) for index in range(most))
    return next((index for index, closes in enumerate(closed) if not closes), most)


def _ends_with(content: bytes, ends: tuple[str, ...]) -> bool:
    """Whether a text ends with one of `ends`, or would without the spaces behind it."""
    text = content.decode(errors="replace")
    return text.endswith(ends) or text.rstrip(" ").endswith(ends)


def _tail(spec: SequenceSpec, tokens: Sequence[Token], enough: int) -> bytes:
    """The last bytes of some tokens, in whole tokens: so many at least, if there are."""
    tail = b""
    for token in reversed(tokens):
        tail = spec.vocabulary[token.id] + tail
        if len(tail) >= enough:
            break
    return tail


def _at_end(pattern: str) -> str:
    return rf"(?:{pattern}) *\Z"


def _found_at_end(pattern: str, text: str) -> bool:
    """Whether a text ends with what the pattern matches, and spaces.

    Raises:
        ParameterError: that takes too long to find out.
    """
    try:
        return regex.compile(_at_end(pattern)).search(text, timeout=SEARCH_SECONDS) is not None
    except TimeoutError as error:
        raise ParameterError(
            f"step_ends.pattern is {show(pattern)}, which takes more than {SEARCH_SECONDS:g} s on the text "
            "that was written; write one without repetitions of repetitions.",
            param="strategy.step_ends.pattern",
        ) from error
