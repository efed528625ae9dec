"""Keys and values as the native step reads them (source/attention.h)."""

import torch

from models.gpt2 import GPT2Config

BLOCK = 16
"""Positions whose keys lie together, and numbers to which rows are padded: what the widest vector holds."""


class NativeCache:
    """Keys (layers, slots, heads, blocks, head size, BLOCK) and values (layers, slots, heads, positions, head
    size), float32, padded to whole blocks. In a block keys lie across, so that a query meets many at once."""

    def __init__(self, config: GPT2Config, slots: int, length: int) -> None:
        outer, blocks = (config.n_layers, slots, config.n_heads), _blocks(length)
        self.keys = torch.zeros(*outer, blocks, config.head_size, BLOCK)
        self.values = torch.zeros(*outer, blocks * BLOCK, _blocks(config.head_size) * BLOCK)
        self.slots = slots
        self.length = length

    @property
    def held_bytes(self) -> int:
        """Memory of all keys and values."""
        return self.keys.nbytes + self.values.nbytes

    @property
    def most_bytes(self) -> int:
        """The same: every slot has its memory from the beginning."""
        return self.held_bytes

    @property
    def text_bytes(self) -> int:
        """See `KVCache`."""
        return 0

    def cut(self, slot: int, length: int) -> None:
        """See `KVCache`. Nothing comes free by it."""

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`."""
        blocks = slice(start // BLOCK, _blocks(end))  # what else is in them is the same, or nothing
        self.keys[:, target, :, blocks] = self.keys[:, source, :, blocks]
        self.values[:, target, :, start:end] = self.values[:, source, :, start:end]


def _blocks(size: int) -> int:
    return -(-size // BLOCK)
