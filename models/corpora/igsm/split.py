"""Which split a problem belongs to: by the hash of its solution template, so no template is in two splits.

The solution template is the solution with names and numbers abstracted: per step its kind and which earlier
steps it uses. A problem has several solutions, one per order in which its steps may stand, and any of them
answers it, so the template is that of one canonical order: else a problem would be tested whose other orders
were trained on. Up to `SMALL_OP` needed quantities there are only a handful of such templates (one for op 1),
so none could be spared for testing; there the arrangement of the problem's sentences joins the template.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, get_args

from models.corpora.igsm.graph import Problem
from models.errors import SpecError

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
SMALL_OP = 3
_UPPER: tuple[tuple[Split, int], ...] = (
    ("train", 205),
    ("validation", 218),
    ("calibration", 231),
    ("test", 256),
)
"""Upper bounds of the first hash byte: 80.1, 5.1, 5.1 and 9.8% of the templates."""


def template(problem: Problem) -> str:
    """The template of a problem, a canonical string without names and numbers."""
    steps = _abstract(problem, _canonical_order(problem))
    if problem.op > SMALL_OP:
        return steps
    return f"{steps}|{_abstract(problem, problem.text_order)}|{problem.text_order.index(problem.question)}"


def split_of(problem: Problem) -> Split:
    """The split that the problem's template falls into."""
    first_byte = sha256(template(problem).encode()).digest()[0]
    return next(split for split, upper in _UPPER if first_byte < upper)


def check_split(name: str) -> Split:
    """The split of that name.

    Raises:
        SpecError: there is none.
    """
    for split in SPLITS:
        if split == name:
            return split
    raise SpecError(f"there is no split {name!r}; choose one of {', '.join(SPLITS)}")


def _canonical_order(problem: Problem) -> list[int]:
    """The needed quantities depth first from the question, operands in the order in which they are written.

    Two problems with the same graph of needed quantities get the same order, whatever their solutions' order.
    """
    order: list[int] = []
    waiting = [problem.question]
    while waiting:
        quantity = waiting[-1]
        later = [operand for operand in problem.definitions[quantity].operands if operand not in order]
        if later:
            waiting.append(later[0])
            continue
        waiting.pop()
        if quantity not in order:
            order.append(quantity)
    return order


def _abstract(problem: Problem, order: Sequence[int]) -> str:
    place = {quantity: index for index, quantity in enumerate(order)}
    return ";".join(
        f"{problem.definitions[quantity].kind}:"
        + ",".join(str(place[operand]) for operand in problem.definitions[quantity].operands)
        for quantity in order
    )
