"""What a text says in the end: how strategies that vote read its answer."""

from typing import Annotated

from pydantic import Field

AnswerMarker = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="The answer is what follows the last of these, up to the end of the line.",
    ),
]

ANSWER_MARKER = "Answer:"


def read_answer(text: str, marker: str) -> str | None:
    """What follows the last `marker` in its line, without spaces around it or a full stop behind it; None if
    there is nothing."""
    _, found, after = text.rpartition(marker)
    answer = after.split("\n", 1)[0].strip().removesuffix(".").strip()
    return answer if found and answer else None
