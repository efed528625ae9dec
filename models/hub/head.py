"""Logits at one position of each row: those of every token of a prompt would take far more memory."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Head:
    """The module that makes logits of a network's last states.

    It is given only the states that are asked for, so what an architecture does to its logits afterwards,
    such as a soft cap, is done to those.
    """

    def __init__(self, network: Any) -> None:
        self._picked: tuple[Tensor, Tensor] | None = None
        head = network.get_output_embeddings()
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
