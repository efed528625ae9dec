"""A token pool as transformers sees it during one forward pass."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from models.hub.token_pool import TokenPool


@dataclass(frozen=True)
class OneRow:
    """Where one row lies in the pool, in one piece, and where in it the tokens of the pass are written."""

    row: slice
    written: slice

    @property
    def reach(self) -> int:
        """Positions that are read."""
        return self.row.stop - self.row.start

    @property
    def past(self) -> int:
        """Positions before those of the pass."""
        return self.written.start - self.row.start

    def exchange(self, line: Tensor, states: Tensor, _kind: str) -> Tensor:
        """Write states (1, heads, T, head size) into a line, and read (1, heads, reach, head size)."""
        line[:, self.written] = states[0]
        return line[:, self.row].unsqueeze(0)


@dataclass(frozen=True)
class SeveralRows:
    """Where several rows lie in the pool.

    Attributes:
        rows, reach: how many, and positions that are read of each.
        written: (N,), which of the pass's B * T tokens are written; None for all. into: (N,), where to.
        read: (B * reach,), the positions of the pool that the rows see.
        buffers: what is read, by kind and shape, which the next layer reads over: fetching memory would take
            longer than the reading. None where a layer uses what an earlier one has read.
    """

    rows: int
    reach: int
    written: Tensor | None
    into: Tensor
    read: Tensor
    buffers: dict[Hashable, Tensor] | None

    @property
    def past(self) -> int:
        """Of a row alone, which lies in several pieces, as that of `OneRow`. No number is that of several
        rows, and none is asked for, as their masks are given."""
        return self.reach - len(self.into) if self.rows == 1 else 0

    def exchange(self, line: Tensor, states: Tensor, kind: str) -> Tensor:
        """Write states (B, heads, T, head size) into a line, and read (B, heads, reach, head size)."""
        new = states.transpose(0, 1).flatten(1, 2)
        if self.written is not None:
            new = new.index_select(1, self.written.to(line.device))
        line.index_copy_(1, self.into.to(line.device), new)
        read = self.read.to(line.device)
        if self.buffers is None:
            seen = line.index_select(1, read)
        else:
            heads, _, size = line.shape
            seen = self.buffers.get((kind, heads, size, line.device))
            if seen is None:
                seen = self.buffers[kind, heads, size, line.device] = line.new_empty(heads, len(read), size)
            torch.index_select(line, 1, read, out=seen)
        return seen.view(len(line), self.rows, self.reach, -1).transpose(0, 1)


class PassCache(Cache):
    """Puts keys and values of the pass where its tokens belong, and returns what its rows may see."""

    def __init__(self, pool: TokenPool, where: OneRow | SeveralRows) -> None:
        super().__init__(layers=[])
        self._pool = pool
        self._where = where

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (B, heads, T, head size) and read (B, heads, reach, head size)."""
        layer = self._pool.layer(layer_idx, key_states, value_states)
        exchange = self._where.exchange
        return exchange(layer.keys, key_states, "keys"), exchange(layer.values, value_states, "values")

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Positions before those of the pass: a network that is given no mask may make one by it."""
        return self._where.past

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        """Length and offset of what is read."""
        return self._where.reach, 0
