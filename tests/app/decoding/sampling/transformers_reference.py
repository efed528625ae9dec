"""What transformers' logits processors make of logits."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def process(
    processor: Callable[..., Tensor], logits: Tensor, ids: Sequence[Sequence[int]] | None = None
) -> Tensor:
    """A processor's result on logits (R, V); `ids` is what was written in each row so far."""
    history = torch.zeros(len(logits), 1, dtype=torch.int64) if ids is None else torch.tensor(ids)
    return processor(history, logits.clone())
