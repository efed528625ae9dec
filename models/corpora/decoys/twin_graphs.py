"""Two graphs of igsm in one text, of which the question is about one.

Both are drawn alike, of `op` quantities each, so whatever can be counted of a quantity is as likely on
either side: how it is defined, where it stands, how often it is mentioned. As the question mentions the
last needed quantity, the *sink* of the decoys mentions the last decoy: one quantity more, which nothing
mentions. It takes a second operand besides, by chance another decoy or a needed quantity, so that either
side is mentioned once more in half of the problems. Where a needed one is due and some decoy is used by two
others, one of these two uses the needed quantity in its place, and the sink takes that decoy. So decoys use
what is needed as they use each other, and only a walk from the question down to what it uses tells the two
sides apart.

With op 1 there is nothing else to use: the sink has one operand.
"""

from collections.abc import Sequence
from random import Random

from models.corpora.igsm.graph import (
    DIFFERENCE,
    MORE,
    SUM,
    TIMES,
    Definition,
    Problem,
    evaluate,
)
from models.corpora.igsm.spec import IgsmSpec


def put_together(random: Random, spec: IgsmSpec, asked: Problem, other: Problem) -> Problem:
    """One problem from two of the same op, without distractors: the needed quantities, which are those of the
    first, then the decoys, then their sink."""
    op = asked.op
    decoys = [
        definition._replace(operands=tuple(op + operand for operand in definition.operands))
        for definition in other.definitions
    ]
    sink = _sink_of_one(random, spec, op) if op == 1 else _sink_of_two(random, decoys, op)
    definitions = (*asked.definitions, *decoys, sink)
    values = list(asked.values)
    for definition in definitions[op:]:
        values.append(evaluate(definition, values, spec.modulus))
    count = len(definitions)
    return Problem(
        names=tuple(random.sample(spec.names, count)),
        definitions=definitions,
        values=tuple(values),
        text_order=tuple(random.sample(range(count), count)),
        solution_order=asked.solution_order,
        question=asked.question,
    )


def _sink_of_one(random: Random, spec: IgsmSpec, op: int) -> Definition:
    """More or times the last decoy."""
    kind, least = random.choice(((MORE, 1), (TIMES, 2)))
    return Definition(kind, random.randrange(least, spec.modulus), (2 * op - 1,))


def _sink_of_two(random: Random, decoys: list[Definition], op: int) -> Definition:
    """The sum or difference of the last decoy and another quantity; a decoy may be changed, see above."""
    last = 2 * op - 1
    needed = random.randrange(op - 1)
    if random.random() < 0.5:
        second = random.randrange(op, last)
    elif uses := _one_of_several_uses(decoys):
        second = _use_instead(decoys, *random.choice(uses), needed)
    else:
        second = needed
    return Definition(random.choice((SUM, DIFFERENCE)), 0, tuple(random.sample((last, second), 2)))


def _one_of_several_uses(decoys: Sequence[Definition]) -> list[tuple[int, int]]:
    """Index of a decoy and place of an operand of it, for every operand that another decoy uses too."""
    used = [operand for each in decoys for operand in each.operands]
    return [
        (index, place)
        for index, each in enumerate(decoys)
        for place, operand in enumerate(each.operands)
        if used.count(operand) > 1
    ]


def _use_instead(decoys: list[Definition], index: int, place: int, needed: int) -> int:
    """Let a decoy use a needed quantity in place of one of its operands, which is returned."""
    operands = list(decoys[index].operands)
    before, operands[place] = operands[place], needed
    decoys[index] = decoys[index]._replace(operands=tuple(operands))
    return before
