"""Streams of problems: endless and reproducible from a seed, each of one split."""

from collections.abc import Iterator
from random import Random

from models.corpora.igsm.graph import Problem, draw_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.split import Split, split_of


def problems(spec: IgsmSpec, split: Split, seed: int, ops: range | None = None) -> Iterator[Problem]:
    """An endless stream of problems of one split, op uniform over `ops` (the training range unless given).

    The stream depends on the arguments alone: the same seed gives the same problems. A draw that falls into
    another split is drawn again with the same op, so op stays uniform; the number of distractors is drawn
    anew, since some pairs of the two have too few templates for every split (op 1 without any has one).
    """
    ops = ops if ops is not None else range(spec.op_min, spec.op_max + 1)
    random = Random(f"{split}/{seed}")
    while True:
        op = ops[int(random.random() * len(ops))]
        yield draw_in_split(random, spec, split, op)


def draw_in_split(random: Random, spec: IgsmSpec, split: Split, op: int) -> Problem:
    """One problem of that split and op; its number of distractors is uniform before the split is imposed."""
    span = spec.distractors_max - spec.distractors_min + 1
    while True:
        distractors = spec.distractors_min + int(random.random() * span)
        problem = draw_problem(random, spec, op, distractors)
        if split_of(problem) == split:
            return problem
