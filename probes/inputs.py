"""What a probe may see beside hidden states: the signals that come for free with every token.

They are the inputs of the strongest baseline, a logistic regression on all of them, and may be part of a
probe's own input.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

CURRENT: tuple[str, ...] = ("entropy", "varentropy", "max_probability", "margin")
"""Signals of the distribution that the token was drawn from; they do not depend on what was drawn."""

PAST: tuple[str, ...] = (*CURRENT, "surprisal")
"""Signals of the step's earlier tokens, so every signal that is needed of each token."""

_DOUBTS: tuple[str, ...] = ("entropy", "varentropy", "1 - max_probability", "1 - margin", "surprisal")
"""`PAST` turned so that more is less certain."""

FEATURES: tuple[str, ...] = (
    *CURRENT,
    *(f"log {name}" for name in CURRENT[:2]),
    *(f"{pooled} {name}" for name in _DOUBTS for pooled in ("first", "max", "mean")),
    *(f"log {pooled} {name}" for name in _DOUBTS for pooled in ("first", "max", "mean")),
    "tokens read",
    "step",
)
"""Names of the columns of `signal_features`."""

_FLOOR = 1e-6
"""Keeps the logarithm of a signal that is zero finite."""


def signal_features(past: ArrayLike, current: ArrayLike, step: int) -> NDArray[np.float64]:
    """Features of one reading, in the order of `FEATURES`.

    Args:
        past: (n, 5) `PAST` of each earlier token of the step; empty where the step has just begun.
        current: (4,) `CURRENT` at the token itself.
        step: how many steps came before, from 0.
    """
    now = np.asarray(current, dtype=np.float64)
    before = np.asarray(past, dtype=np.float64).reshape(-1, len(PAST))
    read = len(before)
    doubts = np.zeros((1, len(PAST))) if read == 0 else before.copy()
    if read:
        doubts[:, 2:4] = 1 - before[:, 2:4]
    pooled = np.stack((doubts[0], doubts.max(axis=0), doubts.mean(axis=0)), axis=1).ravel()
    return np.concatenate((now, np.log(now[:2] + _FLOOR), pooled, np.log(pooled + _FLOOR), (read, step)))
