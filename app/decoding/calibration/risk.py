"""From counts of wrong answers to a threshold with a guarantee: Learn-then-Test.

Angelopoulos, Bates, Candes, Jordan & Lei, "Learn then Test" (arXiv 2110.01052). An answer is given where a
score of doubt is at most a threshold. For each threshold of a grid a binomial test asks whether the risk is
above the level; fixed-sequence testing goes through them and keeps those before the first that fails. Over
the draw of the tested problems, the chance of keeping any threshold whose risk is above the level is then at
most delta, provided that these problems decided neither on the grid nor on the order. Both come from other
problems ("tuning").

With k wrong of n, "the p-value of risk > level is at most delta" is the same as "the Clopper-Pearson upper
bound of the risk is at most the level", so the bound serves for both. It is exact for losses of 0 or 1, where
that of Hoeffding and Bentkus only bounds the same tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

RiskKind = Literal["selective", "overall"]
"""selective: share of wrong answers among those given. overall: share of wrong answers among all problems."""


@dataclass(frozen=True)
class Counts:
    """Of `problems`, how many have a score of at most each threshold, and how many of these are wrong."""

    problems: int
    answered: tuple[int, ...]
    wrong: tuple[int, ...]

    def trials(self, kind: RiskKind, index: int) -> int:
        """How many problems a threshold's risk is a share of."""
        return self.problems if kind == "overall" else self.answered[index]

    def bound(self, kind: RiskKind, index: int, delta: float) -> float:
        """Upper bound of a threshold's risk, which it exceeds with probability at most delta."""
        return upper_bound(self.wrong[index], self.trials(kind, index), delta)


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold, by its index, and the bound of its risk."""

    index: int
    bound: float


def p_value(wrong: int, problems: int, level: float) -> float:
    """P(at most `wrong` of `problems`), each wrong with probability `level`: the binomial's exact tail."""
    from scipy.special import bdtr  # takes a third of a second, which a server need not

    return float(bdtr(wrong, problems, level))


def upper_bound(wrong: int, problems: int, delta: float) -> float:
    """The level at which `p_value` is delta: Clopper & Pearson's upper bound. 1 if nothing can be said."""
    if wrong >= problems:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(wrong + 1, problems - wrong, 1 - delta))


def count(scores: Sequence[float], wrong: Sequence[bool], thresholds: Sequence[float]) -> Counts:
    """Counts at each threshold. A score that is NaN or infinite is above all of them."""
    pairs = list(zip(scores, wrong, strict=True))
    answered = [[is_wrong for score, is_wrong in pairs if score <= threshold] for threshold in thresholds]
    return Counts(len(pairs), tuple(map(len, answered)), tuple(map(sum, answered)))


def first_tested(tuning: Counts, kind: RiskKind, delta: float) -> int:
    """Where the sequence of tests begins: the threshold of the lowest bound on the tuning problems; of
    equals, the one that answers most. It depends on no level."""
    order = range(len(tuning.answered))
    return min(order, key=lambda index: (tuning.bound(kind, index, delta), -tuning.answered[index]))


def choose(
    tuning: Counts, tested: Counts, kind: RiskKind, level: float, delta: float
) -> ChosenThreshold | None:
    """The threshold that answers most among those that fixed-sequence testing keeps; thresholds ascend.

    Tests begin at `first_tested` and go on to higher thresholds until one fails. None if the first fails.
    """
    chosen: ChosenThreshold | None = None
    for index in range(first_tested(tuning, kind, delta), len(tested.answered)):
        bound = tested.bound(kind, index, delta)
        if bound > level:
            break
        chosen = ChosenThreshold(index, bound)
    return chosen


def lowest_level(tuning: Counts, tested: Counts, kind: RiskKind, delta: float) -> float:
    """The lowest level for which `choose` finds a threshold."""
    return tested.bound(kind, first_tested(tuning, kind, delta), delta)
