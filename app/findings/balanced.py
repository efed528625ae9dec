"""Balanced accuracy of scores: the mean of the shares of positives and of negatives that are told right."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.compare.resampling import resampled_means
from app.compare.results import Estimate
from app.compare.statistics import interval
from probes.arrays import Bools, Floats, Ints


def best_threshold(scores: Floats, labels: Bools) -> float:
    """The score from which on to say yes, such that balanced accuracy is highest on these (n,) scores."""
    order = np.argsort(scores, kind="stable")
    ranked, positive = scores[order], labels[order]
    # Saying yes from rank i on: positives from there on are right, and negatives before it.
    right = (positive.sum() - np.concatenate(([0], np.cumsum(positive)))) / max(positive.sum(), 1)
    right = right + np.concatenate(([0], np.cumsum(~positive))) / max((~positive).sum(), 1)
    cuts = np.flatnonzero(np.concatenate(([True], ranked[1:] > ranked[:-1], [True])))
    best = int(cuts[np.argmax(right[cuts])])
    if best == 0:
        return float(ranked[0])
    return float(np.inf) if best == len(ranked) else float((ranked[best - 1] + ranked[best]) / 2)


def balanced_accuracy(said: Bools, labels: Bools) -> float:
    """Of (n,) answers to (n,) questions, both answers among the right ones."""
    return float((said[labels].mean() + (~said[~labels]).mean()) / 2)


@dataclass(frozen=True)
class Answers:
    """Yes or no of several scorers on the same (n,) questions, which come in groups: those of one problem."""

    said: Mapping[str, Bools]
    labels: Bools
    groups: Ints

    def accuracy(self, name: str) -> Estimate:
        """Balanced accuracy of a scorer, its interval by problem."""
        return interval(balanced_accuracy(self.said[name], self.labels), self._resampled(name))

    def gain(self, name: str, rival: str) -> Estimate:
        """How much higher that of one is than that of another, on the same questions."""
        value = balanced_accuracy(self.said[name], self.labels)
        value -= balanced_accuracy(self.said[rival], self.labels)
        return interval(value, self._resampled(name) - self._resampled(rival))

    def _resampled(self, name: str) -> Floats:
        right = self.said[name] == self.labels
        columns = (self.labels, ~self.labels, right & self.labels, right & ~self.labels)
        _, group = np.unique(self.groups, return_inverse=True)
        counts: Floats = np.stack([np.bincount(group, weights=column) for column in columns], axis=1).astype(
            np.float64
        )
        positives, negatives, hits, rejections = resampled_means(counts).T
        return (hits / positives + rejections / negatives) / 2
