"""What only some corpora can do. Whoever can do without asks by `isinstance`, whoever cannot by `require`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, overload, runtime_checkable

from models.corpora.corpus import Corpus
from models.errors import SpecError


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of a problem, how it is defined, and whether the answer needs it.

    kind: one of the corpus's `graph_kinds`. constant: the number in its definition, where that has one.
    """

    name: str
    kind: str
    operands: tuple[str, ...]
    constant: int | None
    value: int
    needed: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """What depends on what: the quantities in the problem's order, and the one that is asked for."""

    question: str
    quantities: tuple[Quantity, ...]


@runtime_checkable
class WithGraph(Protocol):
    """A corpus whose problems are graphs of quantities."""

    @property
    def graph_kinds(self) -> tuple[str, ...]:
        """Kinds of definition."""
        ...

    def graph(self, problem: str) -> Graph:
        """The graph of a problem. Raises `ProblemSyntaxError` where the text is none."""
        ...


@runtime_checkable
class WithStepStarts(Protocol):
    """A corpus whose steps each begin with a token that tells what they are about."""

    def step_starts(self, problem: str) -> Mapping[str, bool]:
        """The tokens that begin steps of a problem, and whether the answer needs such a step.

        No two steps of a right solution begin alike, and the tokens stand nowhere else in it. Raises
        `ProblemSyntaxError` where the text is no problem.
        """
        ...


_ABILITIES: Mapping[str, type] = {"graph": WithGraph, "step_starts": WithStepStarts}


@overload
def require(corpus: Corpus, ability: Literal["graph"]) -> WithGraph: ...
@overload
def require(corpus: Corpus, ability: Literal["step_starts"]) -> WithStepStarts: ...
def require(corpus: Corpus, ability: str) -> object:
    """The corpus, known to have an ability.

    Raises:
        SpecError: it has not.
    """
    if isinstance(corpus, _ABILITIES[ability]):
        return corpus
    raise SpecError(f"the corpus {corpus.name!r} has no {ability}; use a corpus that has, such as igsm")
