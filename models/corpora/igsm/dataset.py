"""Streams of problems: endless and reproducible from a seed, each of one split."""

from collections.abc import Iterator
from random import Random

from models.corpora.drawing import stream
from models.corpora.igsm.graph import Problem, draw_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.split import template
from models.corpora.splits import Split, split_of_template
from models.errors import SpecError

_DRAWS = 10_000
"""After so many draws without a problem of the split there is taken to be none: where a split has any, it has
more than one problem in a hundred."""


def problems(spec: IgsmSpec, split: Split, seed: int, ops: range | None = None) -> Iterator[Problem]:
    """An endless stream of problems of one split, op uniform over `ops` (the training range unless given).

    The stream depends on the arguments alone: the same seed gives the same problems. A draw that falls into
    another split is drawn again with the same op, so op stays uniform; the number of distractors is drawn
    anew, since some pairs of the two have too few templates for every split (op 1 without any has one).
    """
    ops = ops if ops is not None else range(spec.op_min, spec.op_max + 1)
    return stream(lambda random, split, op: draw_in_split(random, spec, split, op), split, seed, ops)


def draw_in_split(random: Random, spec: IgsmSpec, split: Split, op: int) -> Problem:
    """One problem of that split and op; its number of distractors is uniform before the split is imposed.

    Raises:
        SpecError: see `draw_with_template`.
    """
    return draw_with_template(random, spec, split, op)[0]


def draw_with_template(random: Random, spec: IgsmSpec, split: Split, op: int) -> tuple[Problem, str]:
    """As `draw_in_split`, with the template that decided its split.

    Raises:
        SpecError: the op is below 1, there are too few nouns for it, or the split has no such problem, as
            problems so small have only a handful of templates.
    """
    if not 1 <= op <= spec.nouns - spec.distractors_max:
        raise SpecError(f"op is {op}; it must be between 1 and {spec.nouns - spec.distractors_max}")
    span = spec.distractors_max - spec.distractors_min + 1
    for _ in range(_DRAWS):
        distractors = spec.distractors_min + int(random.random() * span)
        problem = draw_problem(random, spec, op, distractors)
        found = template(problem)
        if split_of_template(found) == split:
            return problem, found
    raise SpecError(
        f"no problem of op {op} with {spec.distractors_min} to {spec.distractors_max} distractors falls into "
        f"the split {split!r}; raise op or the number of distractors"
    )
