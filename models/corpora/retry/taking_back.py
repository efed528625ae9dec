"""Wrong beginnings in a right solution: a quantity that is not ready is named, and taken back.

As in Physics of Language Models 2.2 (arXiv 2408.16293, section 4), at the rate r: before each step, as long
as a draw falls below r, a quantity comes that some quantity is missing for, and `BACK` after it. None is
taken back twice before one step.
"""

from collections.abc import Collection, Iterator, Sequence
from random import Random

from models.corpora.igsm.graph import Problem
from models.corpora.igsm.text import SENTENCE_END

BACK = " BACK"


def with_wrong_beginnings(
    problem: Problem, phrases: Sequence[str], rate: float, random: Random
) -> tuple[list[str], frozenset[int]]:
    """The phrases of a solution with wrong beginnings put in, and where among them the wrong names stand."""
    found, wrong = [phrases[0]], set[int]()
    rest = iter(phrases[1:])
    known: set[int] = set()
    for quantity in problem.solution_order:
        for other in _not_ready(problem, known, rate, random):
            wrong.add(len(found))
            found += (problem.names[other].capitalize(), BACK, SENTENCE_END)
        for phrase in rest:
            found.append(phrase)
            if phrase == SENTENCE_END:
                break
        known.add(quantity)
    return [*found, *rest], frozenset(wrong)


def _not_ready(problem: Problem, known: Collection[int], rate: float, random: Random) -> Iterator[int]:
    left = [
        quantity
        for quantity, definition in enumerate(problem.definitions)
        if quantity not in known and not all(operand in known for operand in definition.operands)
    ]
    while left and random.random() < rate:
        yield left.pop(random.randrange(len(left)))
