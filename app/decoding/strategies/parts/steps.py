"""Steps of a text, such as its sentences, as strategies see them: the same as where probes are read."""

from typing import Annotated

from pydantic import Field

from app.decoding.core.span import SequenceSpec, Span, Until

StepEnds = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    Field(
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="A step ends with a token whose text ends with one of these, spaces behind it apart.",
    ),
]

STEP_ENDS = (".", "\n")


def is_step_end(spec: SequenceSpec, token_id: int, ends: tuple[str, ...]) -> bool:
    """Whether a token closes a step: its text ends with one of `ends`, spaces behind it apart."""
    text = spec.vocabulary[token_id].decode(errors="replace")
    return text.endswith(ends) or text.rstrip(" ").endswith(ends)


def step_begin(span: Span, ends: tuple[str, ...]) -> int:
    """Position of a step's first token, after closing tokens that stand alone before it; the end of the span
    if there are none but these."""
    for index, token in enumerate(span.tokens):
        if not is_step_end(span.spec, token.id, ends):
            return span.start + index
    return span.end


def step_written(ends: tuple[str, ...]) -> Until:
    """Complete with the token that closes the step. A closing token that stands alone, as a line break
    before an answer may, is no step."""

    def is_complete(span: Span) -> bool:
        *before, last = span.tokens
        if not is_step_end(span.spec, last.id, ends):
            return False
        return not all(is_step_end(span.spec, token.id, ends) for token in before)

    return is_complete
