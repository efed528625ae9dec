"""Logits at one position of each row: those of every token of a prompt would take far more memory."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = range(2, 17)
"""Rows for which a CPU has float32 logits in about half the time if the weights stand on the left of the
product."""


class Head:
    """The module that makes logits of a network's last states.

    It is given only the states that are asked for, so what an architecture does to its logits afterwards,
    such as a soft cap, is done to those.
    """

    def __init__(self, network: Any) -> None:
        self._picked: tuple[Tensor, Tensor] | None = None
        head = network.get_output_embeddings()
        if (
            type(head) is nn.Linear
            and head.weight.device.type == "cpu"
            and head.weight.dtype is torch.float32
        ):
            head = WideLinear(head)
            network.set_output_embeddings(head)
        if isinstance(head, nn.Module):
            head.register_forward_pre_hook(self._pick)

    @contextmanager
    def picking(self, rows: Tensor, columns: Tensor) -> Generator[None]:
        """Give the head of the pass that runs meanwhile one state a row: (B,) rows and their columns."""
        self._picked = (rows, columns)
        try:
            yield
        finally:
            self._picked = None

    def _pick(self, _head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._picked is None:
            return None
        rows, columns = (index.to(args[0].device) for index in self._picked)
        return (args[0][rows, columns].unsqueeze(1), *args[1:])


class WideLinear(nn.Module):
    """A linear layer with far more outputs than inputs, for the same numbers, sums rounded otherwise."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias: nn.Parameter | None = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) not in FEW:
            return F.linear(x, self.weight, self.bias)
        y = (self.weight @ rows.mT).mT.contiguous().view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias
