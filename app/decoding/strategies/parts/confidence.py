"""Confidence of a whole text from that of its tokens, as DeepConf sums it up (arXiv 2508.15260)."""

from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np

ConfidenceAggregate = Literal["mean", "tail", "bottom", "lowest"]

_BOTTOM_SHARE = 0.1


def group_confidences(confidences: Sequence[float], window: int) -> list[float]:
    """Mean confidence of every `window` consecutive tokens; of a shorter text, of the whole; 0 of none."""
    if len(confidences) <= window:
        return [sum(confidences) / len(confidences)] if confidences else [0.0]
    values = np.lib.stride_tricks.sliding_window_view(np.asarray(confidences, dtype=np.float64), window)
    return values.mean(axis=-1).tolist()


def trace_confidence(confidences: Sequence[float], window: int, aggregate: ConfidenceAggregate) -> float:
    """One number for a text. mean: over all tokens. tail: over the last `window`. lowest: of its groups.
    bottom: mean of the lowest tenth of its groups, at least one."""
    match aggregate:
        case "mean":
            return group_confidences(confidences, len(confidences))[0]
        case "tail":
            return group_confidences(confidences[-window:], window)[0]
        case "lowest":
            return min(group_confidences(confidences, window))
        case "bottom":
            groups = sorted(group_confidences(confidences, window))
            lowest = groups[: max(1, int(len(groups) * _BOTTOM_SHARE))]
            return sum(lowest) / len(lowest)
        case _:
            assert_never(aggregate)


def stopping_bar(lowest: Sequence[float], keep_percent: float) -> float:
    """The group confidence that `keep_percent` of the warm-up texts never fell below: the
    (100 - keep_percent)th percentile of their lowest, interpolated linearly."""
    return float(np.percentile(np.asarray(lowest, dtype=np.float64), 100 - keep_percent))
