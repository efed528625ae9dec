"""Cross entropy of many tokens and its gradient, without ever holding the logits of all."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_LOGITS = 2**20
"""So many are held at a time: what fits into a processor's cache."""
_MULTIPLE = 16
"""The vocabulary is filled up to a multiple; products with matrices of odd widths are three times slower."""


def cross_entropy(
    states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted sum over tokens, and what each contributes to it before weighting, in nats.

    The gradient is found on the way forwards, chunk by chunk; only the sum has one.

    Args:
        states: [tokens, D]. embedding: [V, D], of the tokens foretold. targets: [tokens], int64.
        weights: [tokens].
    """
    return _CrossEntropy.apply(states, embedding, targets, weights)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        words = embedding.shape[0]
        filled = F.pad(embedding, (0, 0, 0, -words % _MULTIPLE))
        of_states, of_filled = torch.empty_like(states), torch.zeros_like(filled)
        nats = torch.empty_like(weights)
        chunk = max(1, _LOGITS // filled.shape[0])
        for start in range(0, len(states), chunk):
            part = slice(start, start + chunk)
            target = targets[part, None]
            logits = (states[part] @ filled.mT).float()
            logits[:, words:] = -torch.inf
            probabilities = logits.log_softmax(-1)
            nats[part] = -probabilities.gather(1, target)[:, 0]
            # The gradient of the logits is what is foretold less what came, weighted.
            gradient = probabilities.exp_()
            gradient.scatter_add_(1, target, gradient.new_full(target.shape, -1.0))
            gradient.mul_(weights[part, None])
            of_states[part] = gradient @ filled
            of_filled += gradient.mT @ states[part]
        ctx.save_for_backward(of_states, of_filled[:words])
        ctx.mark_non_differentiable(nats)
        return (nats * weights).sum(), nats

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        of_states, of_embedding = ctx.saved_tensors
        return of_states * gradients[0], of_embedding * gradients[0], None, None
