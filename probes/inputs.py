"""What a probe may see beside hidden states: the signals that come for free with every token.

They are the inputs of the strongest baseline, a logistic regression on all of them, and may be part of a
probe's own input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CURRENT: tuple[str, ...] = ("entropy", "varentropy", "max_probability", "margin")
"""Signals of the distribution that the token was drawn from; they do not depend on what was drawn."""

PAST: tuple[str, ...] = ("entropy", "varentropy", "surprisal")
"""Signals of the step's earlier tokens."""

TOKEN_SIGNALS: tuple[str, ...] = (*CURRENT, "surprisal")
"""Every signal that is needed of each token."""

FEATURES: tuple[str, ...] = (
    *CURRENT,
    *(f"log {name}" for name in CURRENT[:2]),
    *(f"{pooled} {name}" for name in PAST for pooled in ("max", "mean")),
    *(f"log {pooled} {name}" for name in PAST for pooled in ("max", "mean")),
    "tokens read",
    "step",
)
"""Names of the columns of `signal_features`."""

_FLOOR = 1e-6
"""Keeps the logarithm of a signal that is zero finite."""


def signal_features(
    past: Sequence[Sequence[float]], current: Sequence[float], step: int
) -> NDArray[np.float64]:
    """Features of one reading, in the order of `FEATURES`.

    Args:
        past: `PAST` of each earlier token of the step; none where the step has just begun.
        current: `CURRENT` at the token itself.
        step: how many steps came before, from 0.
    """
    now = np.asarray(current, dtype=np.float64)
    before = np.asarray(past if len(past) else [[0.0] * len(PAST)], dtype=np.float64)
    pooled = np.stack((before.max(axis=0), before.mean(axis=0)), axis=1).ravel()
    return np.concatenate((now, np.log(now[:2] + _FLOOR), pooled, np.log(pooled + _FLOOR), (len(past), step)))
