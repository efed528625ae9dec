"""What several transforms measure of a distribution."""

import torch
from torch import Tensor


def entropy_of(probs: Tensor) -> Tensor:
    """Shannon entropy H = -sum p ln p (R,) in nats, of probabilities (R, V)."""
    return torch.special.entr(probs).sum(dim=-1)


def remove(logits: Tensor, removed: Tensor) -> Tensor:
    """Logits without the tokens of `removed` (R, V) bool; the likeliest ones stay in any case.

    Rounding may put even the likeliest token on the wrong side of a threshold.
    """
    return logits.masked_fill(removed & (logits < logits.amax(dim=-1, keepdim=True)), -torch.inf)
