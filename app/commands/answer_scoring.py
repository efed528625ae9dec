"""How right a completion is by an answer that is known: what `demur probe` and `demur calibrate` count."""

from collections.abc import Callable
from typing import Annotated

import typer

AnswerMarkerOption = Annotated[
    str | None,
    typer.Option(help="Text after which the answer stands, up to the end of its line.", show_default=False),
]
AnswerPatternOption = Annotated[
    str | None, typer.Option(help="Regular expression that finds the answer.", show_default=False)
]

AnswerScore = Callable[[str, str], float]
"""A completion and the right answer to a score from 0 to 1."""


def answer_score(marker: str | None, pattern: str | None) -> AnswerScore:
    """Scores by what stands after a marker, what a pattern finds, or the whole completion.

    Of a number the last one there has to be equal; words have to stand there, in whatever case.

    Raises:
        SpecError: both are given, or one of them cannot be used.
    """
    from pydantic import ValidationError

    from app.compare.answers import Exact, Marker, Pattern
    from app.measure.answer_match import holds_answer
    from models.errors import SpecError

    if marker is not None and pattern is not None:
        raise SpecError("--answer-marker and --answer-pattern both say where the answer is; leave out one")
    try:
        reading = (
            Marker(answer_marker=marker)
            if marker is not None
            else Pattern(rule="regex", pattern=pattern)
            if pattern is not None
            else Exact(rule="exact")
        )
    except ValidationError as error:
        raise SpecError(f"the answer cannot be read so: {error.errors()[0]['msg']}") from error

    def score(completion: str, answer: str) -> float:
        found = reading.read(completion)
        return float(found is not None and holds_answer(found, answer))

    return score
