"""Whether a probe's scores are still spread as they were where it was calibrated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from probes.card import ProbeCard

FEWEST = 200
"""Scores that it takes to say anything."""

_LEAST_SHARE = 1e-4  # an empty part, whose logarithm there is none of


@dataclass(frozen=True)
class Spread:
    """Shares of scores between thresholds, which rise: below the first, from each one to the next, above."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]


def calibrated_spread(card: ProbeCard) -> Spread | None:
    """How the scores of a probe were spread on the calibration part of its data, by its own thresholds.

    A threshold's card has the share of negatives and of positives at or above it; the share of positives is
    that of the evaluation's readings. None if the card does not tell.
    """
    positives = _share_of_positives(card.evidence)
    measured = sorted({each.threshold: each for each in card.thresholds}.items())
    if positives is None or not measured:
        return None
    above = [(1 - positives) * each.false_alarm_rate + positives * each.recall for _, each in measured]
    edges = [1.0, *above, 0.0]
    shares = tuple(max(0.0, low - high) for low, high in pairwise(edges))
    return Spread(tuple(threshold for threshold, _ in measured), shares)


def drift(spread: Spread, scores: Iterable[float]) -> float | None:
    """The population stability index of scores: sum over parts of (now - then) ln(now / then), in nats.

    0 is the same; by convention below 0.1 is little and above 0.25 is much. None of fewer than `FEWEST`.
    Source: Siddiqi, Credit Risk Scorecards (2006), chapter 10.
    """
    found = np.fromiter(scores, dtype=float)
    if len(found) < FEWEST:
        return None
    parts = np.searchsorted(spread.thresholds, found, side="right")
    now = np.bincount(parts, minlength=len(spread.shares)) / len(found)
    return _stability(now.tolist(), spread.shares)


def _stability(now: Sequence[float], then: Sequence[float]) -> float:
    new, old = (np.maximum(np.array(shares), _LEAST_SHARE) for shares in (now, then))
    return float(np.sum((new - old) * np.log(new / old)))


def _share_of_positives(evidence: Mapping[str, Any]) -> float | None:
    try:
        domain = evidence["evaluation"]["domains"]["id"]
        return domain["positives"] / domain["rows"]
    except (KeyError, TypeError, ZeroDivisionError):
        return None  # the card of a probe made elsewhere
