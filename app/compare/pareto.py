"""Which arms no other beats in both accuracy and cost, and how sure that is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.compare.resampling import resampled_means
from app.compare.results import ParetoPoint

Floats = NDArray[np.float64]

CONFIDENT = 0.95


def dominating(accuracy: Floats, tokens: Floats, mine: Floats, cost: Floats) -> NDArray[np.bool_]:
    """Which arms are at least as accurate as one, cost no more, and are better in one of the two.

    Args:
        accuracy, tokens: [..., arms], of all.
        mine, cost: [..., 1], of the one.
    """
    at_least = (accuracy >= mine) & (tokens <= cost)
    return at_least & ((accuracy > mine) | (tokens < cost))


def pareto(arms: Sequence[str], right: Floats, tokens: Floats) -> tuple[ParetoPoint, ...]:
    """Every arm's place among all, on problems that all have finished.

    Args:
        right, tokens: [problems, arms], nothing unknown; no problems or no arms give no points.
    """
    problems, count = right.shape
    if not problems or not count:
        return ()
    drawn = resampled_means(np.concatenate([right, tokens], axis=1))
    accuracies, costs = drawn[:, :count], drawn[:, count:]
    accuracy, cost = right.mean(axis=0), tokens.mean(axis=0)
    points: list[ParetoPoint] = []
    for arm, name in enumerate(arms):
        better = dominating(accuracies, costs, accuracies[:, [arm]], costs[:, [arm]])
        often = better.mean(axis=0)
        points.append(
            ParetoPoint(
                arm=name,
                accuracy=float(accuracy[arm]),
                tokens=float(cost[arm]),
                on_front=not bool(dominating(accuracy, cost, accuracy[[arm]], cost[[arm]]).any()),
                front_share=float((~better.any(axis=1)).mean()),
                dominated_by=tuple(other for place, other in enumerate(arms) if often[place] >= CONFIDENT),
            )
        )
    return tuple(points)
