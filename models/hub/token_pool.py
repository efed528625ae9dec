"""Keys and values of all slots in one line of positions per layer, of which each slot owns a region.

A region grows with its text, so memory follows the tokens in use: a slot costs nothing before its first
token, and a long text costs its own length, not that of every slot. Regions lie in one piece, so that one row
is read where it lies and many rows are gathered by one index for all layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.hub.regions import Region, Regions

GRAIN = 32
"""Regions are multiples of so many positions."""

SPARE = 4
"""A region that grows has a quarter of its text to spare, the pool as much of all regions; so what is copied
because something grows is at most a few times what is written."""

SHRINK = 4
"""A region so many times as large as a new text needs is given back."""


@dataclass(slots=True)
class Layer:
    """keys, values: (heads, positions, head size), of one layer."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Need:
    """What a pass writes of one slot: positions `start` to `end`; what lies before `start` stays."""

    slot: int
    start: int
    end: int


class TokenPool:
    """A `KVCache` whose memory grows with what is written."""

    def __init__(self, slots: int, length: int, position_bytes: int) -> None:
        self.length = length
        self._position_bytes = position_bytes  # of all layers
        self._regions = [Region()] * slots
        self._line = Regions()
        self._capacity = 0  # positions that every layer's tensors have
        self._layers: dict[int, Layer] = {}

    @property
    def slots(self) -> int:
        """Number of rows."""
        return len(self._regions)

    @property
    def held_bytes(self) -> int:
        """Memory of the keys and values, with what is spare."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in list(self._layers.values()))

    @property
    def most_bytes(self) -> int:
        """What they take if every slot is full."""
        return self.slots * self.length * self._position_bytes

    @torch.inference_mode()
    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`."""
        if source == target or start >= end:
            return
        self.reserve([Need(target, start, end)])
        origin = self._regions[source].start
        self._move(Region(origin + start, origin + end), self._regions[target].start + start)

    def reserve(self, needs: Sequence[Need]) -> None:
        """Make room for what a pass writes. If memory runs out, every slot keeps what it has."""
        moves: list[tuple[Need, Region]] = []
        for need in needs:
            old = self._regions[need.slot]
            if need.end > old.size or (need.start == 0 and old.size > max(GRAIN, SHRINK * need.end)):
                moves.append((need, self._line.take(self._size(need.end))))
        if not moves:
            return
        try:
            self._grow()
        except BaseException:
            for _, new in moves:
                self._line.give_back(new)
            raise
        for need, new in moves:
            old = self._regions[need.slot]
            kept = min(need.start, old.size)
            self._move(Region(old.start, old.start + kept), new.start)
            self._regions[need.slot] = new
            self._line.give_back(old)

    def places(self, slots: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where positions (B, T) of slots (B,) lie in the line."""
        starts = np.array([self._regions[slot].start for slot in slots], dtype=np.int64)
        return starts[:, None] + positions

    def layer(self, number: int, keys: Tensor, values: Tensor) -> Layer:
        """A layer's tensors; made now, like `keys` and `values` (B, heads, T, head size), if it has none."""
        if number not in self._layers:
            self._layers[number] = Layer(*(_line_like(each, self._capacity) for each in (keys, values)))
        return self._layers[number]

    def _size(self, end: int) -> int:
        """Positions of a region for a text of `end` tokens."""
        roomy = end + max(GRAIN, end // SPARE)
        return min(-(-roomy // GRAIN) * GRAIN, max(end, self.length))

    def _grow(self) -> None:
        """Give every layer as many positions as the line has."""
        length = self._line.length
        if length <= self._capacity:
            return
        capacity = length + length // SPARE
        for layer in self._layers.values():
            layer.keys, layer.values = _longer(layer.keys, capacity), _longer(layer.values, capacity)
        self._capacity = capacity

    def _move(self, origin: Region, target: int) -> None:
        if not origin.size:
            return
        for layer in self._layers.values():
            for line in (layer.keys, layer.values):
                line[:, target : target + origin.size] = line[:, origin.start : origin.end]


def _line_like(tensor: Tensor, positions: int) -> Tensor:
    # Zeros, since what memory held before may be no number, and a weight of 0 times that is none either.
    return tensor.new_zeros(tensor.shape[1], positions, tensor.shape[3])


def _longer(line: Tensor, positions: int) -> Tensor:
    if line.shape[1] >= positions:  # it grew when memory ran out for another layer
        return line
    longer = line.new_zeros(line.shape[0], positions, line.shape[2])
    longer[:, : line.shape[1]] = line
    return longer
