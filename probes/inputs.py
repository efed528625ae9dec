"""What a probe may see beside hidden states: the signals that come for free with every token.

They are the inputs of the strongest baseline, a logistic regression on all of them, and may be part of a
probe's own input.
"""

from collections.abc import Sequence
from math import log

import numpy as np
import torch
from torch import Tensor

from probes.arrays import Floats

CURRENT: tuple[str, ...] = ("entropy", "varentropy", "max_probability", "margin")
"""Signals of the distribution that the token was drawn from; they do not depend on what was drawn."""

PAST: tuple[str, ...] = (*CURRENT, "surprisal")
"""Signals of the step's earlier tokens, so every signal that is needed of each token."""

_DOUBTS: tuple[str, ...] = ("entropy", "varentropy", "1 - max_probability", "1 - margin", "surprisal")
"""`PAST` turned so that more is less certain."""

_CERTAINTIES = frozenset((PAST.index("max_probability"), PAST.index("margin")))

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


def token_signals(logits: Tensor, chosen: Tensor) -> Floats:
    """(T, 5) `PAST` of (T, V) raw logits and the (T,) tokens that came: nats, nats squared, and
    probabilities; the definitions are those of `app.decoding.core.signals`."""
    log_probs = torch.log_softmax(logits.float(), dim=-1).clamp_min(-200.0)
    probs = log_probs.exp()
    entropy = -(probs * log_probs).sum(-1)
    varentropy = (probs * (log_probs + entropy[:, None]).square()).sum(-1)
    top = probs.topk(2, dim=-1).values
    surprisal = -log_probs.gather(-1, chosen[:, None]).squeeze(-1)
    columns = {
        "entropy": entropy.clamp_min(0.0),
        "varentropy": varentropy,
        "max_probability": top[:, 0],
        "margin": top[:, 0] - top[:, 1],
        "surprisal": surprisal,
    }
    return torch.stack([columns[name] for name in PAST], dim=-1).cpu().double().numpy()


def signal_features(
    past: Sequence[Sequence[float]] | Floats, current: Sequence[float] | Floats, step: int
) -> Floats:
    """Features of one reading, in the order of `FEATURES`.

    Args:
        past: (n, 5) `PAST` of each earlier token of the step; empty where the step has just begun.
        current: (4,) `CURRENT` at the token itself.
        step: how many steps came before, from 0.
    """
    # In plain numbers: of a few tokens, that is several times faster than by arrays, and it is done for every
    # step of every text that is being written.
    rows: Sequence[Sequence[float]] = past.tolist() if isinstance(past, np.ndarray) else past
    entropy, varentropy, best, margin = current.tolist() if isinstance(current, np.ndarray) else current
    read = len(rows)
    pooled: list[float] = []
    for name, values in enumerate(zip(*rows, strict=True)):
        first, most, mean = values[0], max(values), sum(values) / read
        if name in _CERTAINTIES:
            first, most, mean = 1 - first, 1 - min(values), 1 - mean
        pooled += (first, most, mean)
    pooled = pooled or [0.0] * (3 * len(PAST))
    logs = [log(value + _FLOOR) for value in (entropy, varentropy, *pooled)]
    return np.array([entropy, varentropy, best, margin, *logs[:2], *pooled, *logs[2:], read, step])
