"""The template of a problem, by which its split is decided; see `models.corpora.splits`.

The solution template is the solution with names and numbers abstracted: per step its kind and which earlier
steps it uses. A problem has several solutions, one per order in which its steps may stand, and any of them
answers it, so the template is that of one canonical order: else a problem would be tested whose other orders
were trained on. Up to `SMALL_OP` needed quantities there are only a handful of such templates (one for op 1),
so none could be spared for testing; there the arrangement of the problem's sentences joins the template.
"""

from collections.abc import Sequence

from models.corpora.igsm.graph import Problem
from models.corpora.splits import Split, split_of_template

SMALL_OP = 3


def template(problem: Problem) -> str:
    """The template of a problem, a canonical string without names and numbers."""
    steps = _abstract(problem, _canonical_order(problem))
    if problem.op > SMALL_OP:
        return steps
    return f"{steps}|{_abstract(problem, problem.text_order)}|{problem.text_order.index(problem.question)}"


def split_of(problem: Problem) -> Split:
    """The split that the problem's template falls into."""
    return split_of_template(template(problem))


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
