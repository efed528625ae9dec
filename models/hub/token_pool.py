"""Keys and values of all slots in one line of positions per layer, in pages that each slot refers to.

Memory follows the tokens in use: a slot costs nothing before its first token, a long text costs its own
length, not that of every slot, and texts that begin the same way cost their beginning once. A page that
several slots refer to is copied when one of them writes into it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.hub.host_memory import give_back_freed
from models.hub.pages import PAGE, Pages, pages_for

log = logging.getLogger(__name__)

SPARE = 8
"""A pool that grows has an eighth to spare; so what is copied because it grows is a few times what is
written."""

SHRINK = 4
"""A pool so many times as large as all texts becomes smaller."""


@dataclass(slots=True)
class Layer:
    """keys, values: (heads, positions, head size), of one layer."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Need:
    """What a pass writes of one slot: positions `start` to `end`, where its text then ends; what lies before
    `start` stays."""

    slot: int
    start: int
    end: int


class TokenPool:
    """A `KVCache` whose memory grows with what is written."""

    def __init__(self, slots: int, length: int, position_bytes: int) -> None:
        self.slots = slots
        self.length = length
        self._position_bytes = position_bytes  # of all layers
        self._pages = Pages(slots, length)
        self._capacity = 0  # pages that every layer's tensors have room for
        self._layers: dict[int, Layer] = {}

    @property
    def held_bytes(self) -> int:
        """Memory of the keys and values, with what is spare."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in list(self._layers.values()))

    @property
    def most_bytes(self) -> int:
        """What they take if every slot is full."""
        return self.slots * self.length * self._position_bytes

    @property
    def text_bytes(self) -> int:
        """Memory of the pages that slots refer to."""
        return self._pages.taken * PAGE * self._position_bytes

    def cut(self, slot: int, length: int) -> None:
        """See `KVCache`. Others may refer to the same pages; what comes free is there for whoever writes."""
        self._pages.cut(slot, length)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """See `KVCache`. Nothing is moved before one of the two goes on."""
        if source != target and start < end:
            self._pages.share(source, target, start, end)

    @torch.inference_mode()
    def reserve(self, needs: Sequence[Need]) -> None:
        """Make room for what a pass writes. If memory runs out, a slot keeps what lies before its `start`,
        and one that needs nothing keeps all."""
        for need in needs:
            self._pages.cut(need.slot, need.start)
        lacking = [self._pages.lacking(need.slot, need.start, need.end) for need in needs]
        if not any(lacking):
            return
        self._grow(self._pages.taken + sum(lacking))
        for need in needs:
            copied = self._pages.own(need.slot, need.start, need.end)
            if copied is not None:
                self._copy_page(*copied)
        self._shrink()

    def places(self, slots: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where positions (B, T) of slots (B,) lie in the line."""
        return self._pages.places(slots, positions)

    def start(self, slot: int, length: int) -> int | None:
        """Where in the line the first `length` positions of a slot begin, if they lie in one piece."""
        return self._pages.start(slot, length)

    def line(self, number: int) -> tuple[Tensor, Tensor]:
        """Keys and values (heads, positions, head size) of a layer that has been written to."""
        layer = self._layers[number]
        return layer.keys, layer.values

    def layer(self, number: int, keys: Tensor, values: Tensor) -> Layer:
        """A layer's tensors; made now, like `keys` and `values` (B, heads, T, head size), if it has none."""
        if number not in self._layers:
            self._layers[number] = Layer(*(_line_like(each, self._capacity) for each in (keys, values)))
        return self._layers[number]

    def _grow(self, pages: int) -> None:
        """Have room for at least so many pages."""
        if pages > self._capacity:
            most = self.slots * pages_for(self.length)
            self._resize(max(pages, min(pages + max(SPARE, pages // SPARE), most)))

    def _shrink(self) -> None:
        """Give back memory after long texts."""
        if self._capacity <= SHRINK * self._pages.taken:
            return
        pages = self._pages.trim()
        if self._capacity <= SHRINK * pages:
            return
        try:
            self._resize(pages + pages // SPARE)
        except (MemoryError, RuntimeError) as error:
            # The room was made, and a pass must not fail for what it could do without. Layers that were
            # not reached stay long, until the pool is resized next.
            log.warning("Memory of long texts could not be given back: %s", error)

    def _resize(self, capacity: int) -> None:
        # What every layer has at any moment of it, should memory run out.
        self._capacity = min(self._capacity, capacity)
        for layer in self._layers.values():
            layer.keys = _resized(layer.keys, capacity * PAGE)
            layer.values = _resized(layer.values, capacity * PAGE)
        self._capacity = capacity
        give_back_freed()

    def _copy_page(self, origin: int, target: int) -> None:
        # Piece by piece, which takes no memory, so it cannot fail half way.
        old, new = (slice(page * PAGE, (page + 1) * PAGE) for page in (origin, target))
        for layer in self._layers.values():
            for line in (layer.keys, layer.values):
                line[:, new] = line[:, old]


def _line_like(tensor: Tensor, pages: int) -> Tensor:
    # Zeros, since what memory held before may be no number, and a weight of 0 times that is none either.
    return tensor.new_zeros(tensor.shape[1], pages * PAGE, tensor.shape[3])


def _resized(line: Tensor, positions: int) -> Tensor:
    if line.shape[1] == positions:  # it was made so before memory ran out for another layer
        return line
    resized = line.new_zeros(line.shape[0], positions, line.shape[2])
    kept = min(positions, line.shape[1])
    resized[:, :kept] = line[:, :kept]
    return resized
