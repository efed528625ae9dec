"""Steps of a text, such as its sentences, as strategies see them: the same as where probes are read."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from app.decoding.core.span import SequenceSpec, Span, Until
from app.decoding.core.types import Token

StepEnds = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    Field(
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="A step ends with a token whose text ends with one of these, spaces behind it apart. One "
        "of several characters, such as a blank line, may be spread over several tokens.",
    ),
]

STEP_ENDS = (".", "\n")


def is_step_end(spec: SequenceSpec, token_id: int, ends: tuple[str, ...]) -> bool:
    """Whether a token closes a step: its text ends with one of `ends`, spaces behind it apart."""
    text = spec.vocabulary[token_id].decode(errors="replace")
    return text.endswith(ends) or text.rstrip(" ").endswith(ends)


def closes_step(spec: SequenceSpec, tokens: Sequence[Token], ends: tuple[str, ...]) -> bool:
    """Whether the last of some tokens closes a step: by itself, or with those before it.

    The last may not be all spaces: these stand behind an end, and are none.
    """
    last = spec.vocabulary[tokens[-1].id]
    if is_step_end(spec, tokens[-1].id, ends):
        return True
    longest = max((len(end.encode()) for end in ends), default=0)
    if longest < 2 or not last.strip(b" "):
        return False
    tail, enough = b"", len(last) + longest - 1
    for token in reversed(tokens):
        tail = spec.vocabulary[token.id] + tail
        if len(tail) >= enough:
            break
    text = tail.decode(errors="replace")
    return text.endswith(ends) or text.rstrip(" ").endswith(ends)


def step_begin(span: Span, ends: tuple[str, ...]) -> int:
    """Position of a step's first token, after closing tokens that stand alone before it; the end of the span
    if there are none but these."""
    for index in range(len(span.tokens)):
        if not closes_step(span.spec, span.tokens[: index + 1], ends):
            return span.start + index
    return span.end


def step_written(ends: tuple[str, ...]) -> Until:
    """Complete with the token that closes the step. A closing token that stands alone, as a line break
    before an answer may, is no step."""

    def is_complete(span: Span) -> bool:
        if not closes_step(span.spec, span.tokens, ends):
            return False
        return not all(
            closes_step(span.spec, span.tokens[:length], ends) for length in range(1, len(span.tokens))
        )

    return is_complete
