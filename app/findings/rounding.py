"""Weights of few bits: round to nearest, one scale for each output channel."""

from copy import deepcopy

import torch
from torch import Tensor

from models.gpt2 import GPT2


@torch.no_grad()
def rounded(network: GPT2, bits: int) -> GPT2:
    """A copy whose matrices hold values of so many bits times a scale; norms and biases stay as they are."""
    copy = deepcopy(network)
    for parameter in copy.parameters():
        if parameter.ndim == 2:
            parameter.copy_(round_to_nearest(parameter, bits))
    return copy


def round_to_nearest(weight: Tensor, bits: int) -> Tensor:
    """The nearest multiples of each row's scale, which is its largest magnitude by 2^(bits - 1) - 1.

    weight: [output channels, inputs]; of an embedding, a row for each token.
    """
    largest = 2 ** (bits - 1) - 1
    scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / largest
    return (weight / scale).round() * scale
