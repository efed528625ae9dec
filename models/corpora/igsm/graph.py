"""The dependency graph behind a problem, and how a random one is drawn.

Quantities are numbered in the order in which they were drawn, so a definition refers only to lower numbers
and the graph is acyclic by construction. The first `op` quantities are the needed ones and the last of these
is asked for; the rest are distractors.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from models.corpora.igsm.spec import IgsmSpec

CONSTANT, MORE, TIMES, SUM, DIFFERENCE = range(5)
"""Kinds of definition: a number; k more than; k times; the sum of two; the difference of two."""

_ARITY = (0, 1, 1, 2, 2)


class Definition(NamedTuple):
    """How one quantity is defined: `constant` belongs to CONSTANT, MORE and TIMES, else it is 0."""

    kind: int
    constant: int
    operands: tuple[int, ...]


class Problem(NamedTuple):
    """One problem: names, definitions and values by quantity; the order of its sentences and of its steps."""

    names: tuple[str, ...]
    definitions: tuple[Definition, ...]
    values: tuple[int, ...]
    text_order: tuple[int, ...]
    solution_order: tuple[int, ...]
    question: int

    @property
    def op(self) -> int:
        """Number of quantities that the answer needs."""
        return len(self.solution_order)

    @property
    def answer(self) -> int:
        """Value of the quantity that is asked for."""
        return self.values[self.question]


def draw_problem(random: Random, spec: IgsmSpec, op: int, distractors: int) -> Problem:
    """A random problem with exactly `op` needed quantities and `distractors` others."""
    uniform = random.random
    definitions: list[Definition] = []
    values: list[int] = []
    unused: list[int] = []
    for index in range(op):
        operands = _needed_operands(uniform, index, unused, remaining=op - index - 1)
        unused = [quantity for quantity in unused if quantity not in operands]
        unused.append(index)
        _define(uniform, operands, definitions, values, spec.modulus)
    for index in range(op, op + distractors):
        _define(uniform, _any_operands(uniform, index), definitions, values, spec.modulus)
    quantities = op + distractors
    return Problem(
        names=tuple(random.sample(spec.names, quantities)),
        definitions=tuple(definitions),
        values=tuple(values),
        text_order=_shuffled(uniform, quantities),
        solution_order=_solution_order(uniform, definitions[:op]),
        question=op - 1,
    )


def evaluate(definition: Definition, values: Sequence[int], modulus: int) -> int:
    """Value of a quantity, given the values of its operands."""
    kind, constant, operands = definition
    if kind == CONSTANT:
        return constant
    if kind == MORE:
        return (constant + values[operands[0]]) % modulus
    if kind == TIMES:
        return (constant * values[operands[0]]) % modulus
    if kind == SUM:
        return (values[operands[0]] + values[operands[1]]) % modulus
    return (values[operands[0]] - values[operands[1]]) % modulus


def _needed_operands(
    uniform: Callable[[], float], index: int, unused: list[int], remaining: int
) -> tuple[int, ...]:
    """Operands of needed quantity `index`, such that every needed quantity can still come to be used.

    `unused` holds the quantities that nothing uses yet. Each later definition lowers their number by one at
    best (two operands in, one quantity out), and only the last quantity may be left unused in the end.
    """
    if index == 0:
        return ()
    open_count = len(unused)
    arities = [
        arity
        for arity in (0, 1, 2)
        if arity <= index and open_count - min(arity, open_count) + 1 <= remaining + 1
    ]
    arity = arities[int(uniform() * len(arities))]
    if arity == 0:
        return ()
    must_use = max(0, open_count - remaining)
    fresh = max(must_use, 1 if uniform() < 0.75 or index == open_count else 0)
    if arity == 2 and fresh == 1 and open_count > 1 and uniform() < 0.5:
        fresh = 2
    return _pick(uniform, unused, index, arity, fresh)


def _pick(
    uniform: Callable[[], float], unused: list[int], index: int, arity: int, fresh: int
) -> tuple[int, ...]:
    first = unused[int(uniform() * len(unused))] if fresh else int(uniform() * index)
    if arity == 1:
        return (first,)
    if fresh == 2:
        others = [quantity for quantity in unused if quantity != first]
        second = others[int(uniform() * len(others))]
    else:
        second = int(uniform() * (index - 1))
        second += second >= first
    return (first, second) if uniform() < 0.5 else (second, first)


def _any_operands(uniform: Callable[[], float], index: int) -> tuple[int, ...]:
    arity = min(int(uniform() * 3), index)
    if arity == 0:
        return ()
    first = int(uniform() * index)
    if arity == 1:
        return (first,)
    second = int(uniform() * (index - 1))
    return (first, second + (second >= first))


def _define(
    uniform: Callable[[], float],
    operands: tuple[int, ...],
    definitions: list[Definition],
    values: list[int],
    modulus: int,
) -> None:
    arity = len(operands)
    if arity == 0:
        definition = Definition(CONSTANT, int(uniform() * modulus), operands)
    elif arity == 1 and uniform() < 0.5:
        definition = Definition(MORE, 1 + int(uniform() * (modulus - 1)), operands)
    elif arity == 1:
        definition = Definition(TIMES, 2 + int(uniform() * (modulus - 2)), operands)
    else:
        definition = Definition(SUM if uniform() < 0.5 else DIFFERENCE, 0, operands)
    definitions.append(definition)
    values.append(evaluate(definition, values, modulus))


def _shuffled(uniform: Callable[[], float], count: int) -> tuple[int, ...]:
    return tuple(sorted(range(count), key=lambda _: uniform()))


def _solution_order(uniform: Callable[[], float], definitions: Sequence[Definition]) -> tuple[int, ...]:
    """A random order of the needed quantities in which each stands after its operands."""
    order: list[int] = []
    waiting = list(range(len(definitions)))
    while waiting:
        ready = [
            quantity for quantity in waiting if not any(o in waiting for o in definitions[quantity].operands)
        ]
        chosen = ready[int(uniform() * len(ready))]
        order.append(chosen)
        waiting.remove(chosen)
    return tuple(order)
