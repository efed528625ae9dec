"""A token pool as transformers sees it during one forward pass."""

from typing import Any

from torch import Tensor
from transformers import Cache

from models.hub.token_pool import TokenPool


class PassCache(Cache):
    """Puts keys and values of the pass where its tokens belong, and returns what its rows may see.

    Args:
        written: (N,), which of the pass's B * T tokens are written; None for all. into: (N,), where to.
        read: (B * reach,), the positions of the pool that the rows see, or a slice for one row.
    """

    def __init__(
        self,
        pool: TokenPool,
        rows: int,
        reach: int,
        written: Tensor | None,
        into: Tensor,
        read: Tensor | slice,
    ) -> None:
        super().__init__(layers=[])
        self._pool = pool
        self._rows, self._reach = rows, reach
        self._written, self._into, self._read = written, into, read

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (B, heads, T, head size) and read (B, heads, reach, head size)."""
        layer = self._pool.layer(layer_idx, key_states, value_states)
        return self._exchange(layer.keys, key_states), self._exchange(layer.values, value_states)

    def _exchange(self, line: Tensor, states: Tensor) -> Tensor:
        new = states.transpose(0, 1).flatten(1, 2)
        into = self._into.to(line.device)
        if self._written is not None:
            new = new.index_select(1, self._written.to(line.device))
        line.index_copy_(1, into, new)
        if isinstance(self._read, slice):
            return line[None, :, self._read]
        seen = line.index_select(1, self._read.to(line.device))
        return seen.view(len(line), self._rows, self._reach, -1).transpose(0, 1)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Positions that a row has seen: nobody's business, as every pass says where its tokens stand."""
        return 0

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        """Length and offset of what is read."""
        return self._reach, 0
