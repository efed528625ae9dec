"""Keys and values of all slots in one line of positions per layer, of which each slot owns a region.

A region grows with its text, so memory follows the tokens in use: a slot costs nothing before its first
token, and a long text costs its own length, not that of every slot. Regions lie in one piece, so that one row
is read where it lies and many rows are gathered by one index for all layers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.hub.regions import Region, Regions

log = logging.getLogger(__name__)

GRAIN = 32
"""Regions are multiples of so many positions."""

SPARE = 4
"""A region that grows has a quarter of its text to spare, the pool as much of all regions; so what is copied
because something grows is at most a few times what is written. Gaps are closed before the pool grows, where
they are half as much."""

SHRINK = 4
"""A region so many times as large as a new text needs is given back, and a pool so many times as large as all
regions becomes smaller."""


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
        """Make room for what a pass writes. If memory runs out, a slot keeps what lies before its `start`,
        and one that needs nothing keeps all."""
        moves = [need for need in needs if self._is_unfit(need)]
        if not moves:
            return
        # One after the other, so that a region may lie where an earlier one was.
        self._grow(
            self._line.taken + sum(self._size(each.end) - self._regions[each.slot].size for each in moves)
        )
        for need in moves:
            new = self._take(self._size(need.end))
            old = self._regions[need.slot]  # not before: where gaps were closed, it has moved
            kept = min(need.start, old.size)
            self._move(Region(old.start, old.start + kept), new.start)
            self._regions[need.slot] = new
            self._line.give_back(old)
        self._shrink()

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

    def _is_unfit(self, need: Need) -> bool:
        """Whether the slot needs another region: a larger one, or a much smaller one."""
        size = self._regions[need.slot].size
        return need.end > size or (need.start == 0 and size > max(GRAIN, SHRINK * need.end))

    def _take(self, size: int) -> Region:
        """A new region, in a pool that is long enough for it."""
        region = self._line.take(size)
        if region.end > self._capacity and 2 * SPARE * self._line.gaps >= self._line.length:
            self._line.give_back(region)
            self._close_gaps()
            region = self._line.take(size)
        try:
            self._grow(region.end)
        except BaseException:
            self._line.give_back(region)
            raise
        return region

    def _grow(self, length: int) -> None:
        """Give every layer at least so many positions."""
        if length > self._capacity:
            self._resize(length + length // SPARE)

    def _shrink(self) -> None:
        """Give back memory after long texts."""
        if self._capacity > SHRINK * self._line.taken:
            self._close_gaps()
            try:
                self._resize(self._line.length + self._line.length // SPARE)
            except (MemoryError, RuntimeError) as error:
                # The room was made, and a pass must not fail for what it could do without. Layers that were
                # not reached stay long, until the pool is resized next.
                log.warning("Memory of long texts could not be given back: %s", error)

    def _resize(self, capacity: int) -> None:
        # What every layer has at any moment of it, should memory run out.
        self._capacity = min(self._capacity, capacity)
        for layer in self._layers.values():
            layer.keys, layer.values = _resized(layer.keys, capacity), _resized(layer.values, capacity)
        self._capacity = capacity

    def _close_gaps(self) -> None:
        """Have all regions lie one after the other, in the order in which they lie now. Takes no memory."""
        self._line = Regions()
        for slot in sorted(range(self.slots), key=lambda slot: self._regions[slot].start):
            old = self._regions[slot]
            if not old.size:
                continue
            new = self._line.take(old.size)
            way = old.start - new.start
            for start in range(old.start, old.end, way) if way else ():  # no piece is moved onto itself
                self._move(Region(start, min(start + way, old.end)), start - way)
            self._regions[slot] = new

    def _move(self, origin: Region, target: int) -> None:
        if not origin.size:
            return
        for layer in self._layers.values():
            for line in (layer.keys, layer.values):
                line[:, target : target + origin.size] = line[:, origin.start : origin.end]


def _line_like(tensor: Tensor, positions: int) -> Tensor:
    # Zeros, since what memory held before may be no number, and a weight of 0 times that is none either.
    return tensor.new_zeros(tensor.shape[1], positions, tensor.shape[3])


def _resized(line: Tensor, positions: int) -> Tensor:
    if line.shape[1] == positions:  # it was made so before memory ran out for another layer
        return line
    resized = line.new_zeros(line.shape[0], positions, line.shape[2])
    kept = min(positions, line.shape[1])
    resized[:, :kept] = line[:, :kept]
    return resized
