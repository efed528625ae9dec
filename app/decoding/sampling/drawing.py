"""From logits to a token: the inverse CDF."""

import torch
from torch import Tensor
from torch.nn import functional as F

_DIRECT_SUM = 4096
_BLOCK = 256
_ALMOST_ONE = 1 - 2**-53


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Token ids (R,): inverse CDF in the order of ids, one uniform number in [0, 1) per row.

    The token is the first whose cumulative probability exceeds the uniform, which no token of
    probability 0 can be. Sums are float64, so a vocabulary of any size loses no mass. A row from which
    nothing can be drawn (nothing finite in it, something that is no number, or infinity) gives V, which is
    no id: its probabilities are no numbers, and a sum that is none is never exceeded.
    """
    probs = torch.softmax(logits, dim=-1)
    rows, vocab_size = probs.shape
    if vocab_size <= _DIRECT_SUM:
        return _first_above(probs, uniforms)
    # Blocks first, then one block token by token: a running sum over a large vocabulary costs more
    # than all else here.
    blocks = F.pad(probs, (0, -vocab_size % _BLOCK)).view(rows, -1, _BLOCK)
    sums = blocks.sum(dim=-1, dtype=torch.float64)
    block = _first_above(sums, uniforms).clamp_max_(sums.shape[-1] - 1)
    ends = sums.cumsum(dim=-1)
    share = sums.gather(-1, block.unsqueeze(-1)).squeeze(-1)
    start = ends.gather(-1, block.unsqueeze(-1)).squeeze(-1) - share
    inside = ((uniforms * ends[:, -1] - start) / share).clamp_(0.0, _ALMOST_ONE)
    chosen = blocks[torch.arange(rows, device=probs.device), block]
    return (block * _BLOCK + _first_above(chosen, inside)).clamp_max_(vocab_size)


def _first_above(mass: Tensor, uniforms: Tensor) -> Tensor:
    """The first index (R,) at which the running sum of masses (R, N) exceeds uniform * total; N where the
    total is not a number."""
    cumulative = mass.cumsum(dim=-1, dtype=torch.float64)
    point = uniforms.unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, point, right=True).squeeze(-1)
