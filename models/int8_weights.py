"""Matrices in int8: every row is whole multiples, -127 to 127, of a number of its own."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from models.gpt2 import GPT2

LARGEST = 127


def round_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (out, in) to the nearest multiples: int8 (out, in) and float32 scales (out,).

    A row of zeros has scale 1. A number that is none makes its row's scale none, and so all that follows.
    """
    exact = weight.detach().float()
    scale = exact.abs().amax(dim=1) / LARGEST
    scale = torch.where(scale == 0, 1.0, scale)
    return (exact / scale[:, None]).round().nan_to_num(0.0).to(torch.int8), scale


@torch.no_grad()
def with_rounded_weights(network: GPT2) -> GPT2:
    """A copy whose matrices, the embedding of tokens among them, are what int8 makes of them, in float32."""
    copy = deepcopy(network)
    layers = [each for each in copy.modules() if isinstance(each, nn.Linear)]
    for matrix in (copy.token_embedding.weight, *(layer.weight for layer in layers)):
        rounded, scale = round_rows(matrix)
        matrix.copy_(rounded * scale[:, None])
    return copy
