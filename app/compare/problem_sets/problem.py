"""What a problem set is: it draws problems, and says what a completion is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

SEEDS_PER_RUN = 1_000_000_000
"""Problems of one comparison that have seeds of their own; the next comparison's seeds begin behind them."""


@dataclass(frozen=True)
class Problem:
    """A problem as every arm gets it.

    prompt: exactly what the model is to continue. answer: None if it is not known.
    fields: what templates write prompts from, by name.
    entry: what the judge of the set needs beside the answer; nothing to anybody else.
    """

    id: str
    group: str | None
    prompt: str
    answer: str | None
    seed: int
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    entry: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Verdict:
    """What a completion is worth; the fields are those of `Outcome`.

    score: 0 to 1, of sets that give parts of a point; None of those whose answers are right or wrong.
    judge_error: why the judge could not say, or could not read the answer; None where all went well.
    """

    answer: str | None
    correct: bool | None
    solved: bool | None = None
    first_error: int | None = None
    score: float | None = None
    judge_error: str | None = None


class ProblemSet(Protocol):
    """A problem set. The same settings draw the same problems, and a smaller set begins a larger one."""

    def draw(self) -> list[Problem]:
        """The problems, in the order in which they are asked.

        Raises:
            ParameterError: there are no such problems.
        """
        ...

    def examples(self) -> Sequence[Problem]:
        """Problems with answers to show before each that is asked; none of them is asked.

        Raises:
            ParameterError: there are not so many.
        """
        ...

    def judge(self, problem: Problem, text: str) -> Verdict:
        """What a completion is worth; any text has a verdict. It may take seconds. Any thread may ask."""
        ...

    def close(self) -> None:
        """End what it has running, if anything; it starts anew when it is needed."""
        ...
