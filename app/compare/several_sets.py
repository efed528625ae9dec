"""Several problem sets in one comparison: each is a group of its report, and all count together."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from app.compare.problem_sets.problem import Problem, ProblemSet, Verdict
from app.compare.problem_sets.sources import (
    SOURCE_CONFIG,
    CorpusProblems,
    GivenProblems,
    GymProblems,
    ProblemSource,
)
from app.errors import ParameterError
from app.invalid import Listed, refusal

MAX_SETS = 32


class NamedSet(BaseModel):
    """A problem set under a name."""

    model_config = SOURCE_CONFIG

    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="1 to 64 letters, digits, _, . or -; no two sets have the same.",
    )
    problems: ProblemSource = Field(description="As the problems of a comparison of this set alone.")


class SeveralProblems(BaseModel):
    """Several problem sets: a group of the report each, and one after the other in turn."""

    model_config = SOURCE_CONFIG

    source: Literal["several"]
    sets: Listed[NamedSet] = Field(min_length=1, max_length=MAX_SETS, description=f"1 to {MAX_SETS} sets.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for name, count in Counter(each.name for each in self.sets).items():
            if count > 1:
                raise refusal("sets", f"sets has the name {name!r} {count} times; give each set its own")
        return self


AnyProblems = Annotated[
    CorpusProblems | GivenProblems | GymProblems | SeveralProblems, Field(discriminator="source")
]


@dataclass(frozen=True)
class Part:
    """A problem set of a comparison. name: None where it is the only one. where: its field in the spec."""

    name: str | None
    problems: CorpusProblems | GivenProblems | GymProblems
    where: str

    def id_of(self, id: str) -> str:
        """The name of a problem in the comparison."""
        return id if self.name is None else f"{self.name}/{id}"


def parts_of(problems: CorpusProblems | GivenProblems | GymProblems | SeveralProblems) -> Sequence[Part]:
    """The problem sets, one or several."""
    if not isinstance(problems, SeveralProblems):
        return (Part(None, problems, "problems"),)
    return [Part(each.name, each.problems, _where(place)) for place, each in enumerate(problems.sets)]


def _where(place: int) -> str:
    return f"problems.sets[{place}].problems"


@contextmanager
def naming(where: str) -> Generator[None]:
    """Have a problem set that finds fault with a field as if it were the only set name the field in `where`.

    Raises:
        ParameterError: it does.
    """
    try:
        yield
    except ParameterError as error:
        message, param = (
            f"{where}.{text.removeprefix('problems.')}" if text.startswith("problems.") else text
            for text in (error.message, error.param or "")
        )
        raise type(error)(message, param=param or None, code=error.code) from error


@dataclass(frozen=True)
class SeveralSets:
    """The problem set of them all; see `ProblemSet`. A problem's group is the name of its set."""

    sets: Mapping[str, ProblemSet]

    def draw(self) -> list[Problem]:
        """The problems, sets in turn, so that what was computed first is a fair part of all."""
        drawn = self._of_each(lambda each: each.draw())
        return [problem for problem in chain.from_iterable(zip_longest(*drawn)) if problem is not None]

    def examples(self) -> Sequence[Problem]:
        return [*chain.from_iterable(self._of_each(lambda each: each.examples()))]

    def judge(self, problem: Problem, text: str) -> Verdict:
        name, _, id = problem.id.partition("/")
        verdict = self.sets[name].judge(replace(problem, id=id, group=None), text)
        right = verdict.correct if verdict.solved is None else verdict.solved
        return verdict if verdict.score is not None or right is None else replace(verdict, score=float(right))

    def close(self) -> None:
        for each in self.sets.values():
            each.close()

    def _of_each(self, of: Callable[[ProblemSet], Sequence[Problem]]) -> list[list[Problem]]:
        found: list[list[Problem]] = []
        for place, (name, each) in enumerate(self.sets.items()):
            with naming(_where(place)):
                found.append(self._named(name, of(each)))
        return found

    def _named(self, name: str, problems: Sequence[Problem]) -> list[Problem]:
        return [replace(each, id=f"{name}/{each.id}", group=name) for each in problems]
