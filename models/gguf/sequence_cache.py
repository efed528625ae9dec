"""Keys and values of all slots, as sequences of a context that grows with what is written.

A context has a fixed number of cells, all of which take memory from the start. So it begins small, and when
there are too few, another one with twice as many takes over what it holds. Texts that begin the same way
take their beginning once."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import CapacityError
from models.gguf.layer_states import LayerStates, States
from models.gguf.llama_context import PASS, LlamaContext, Numbers
from models.language_model import StepOutput

GROWTH = 2
"""A context that takes over has so many times the cells."""


class MakeContext(Protocol):
    """Makes contexts of a model, for so many sequences and cells."""

    def __call__(self, sequences: int, cells: int, watcher: LayerStates | None) -> LlamaContext: ...


class SequenceCache:
    """A `KVCache` of llama.cpp's."""

    def __init__(
        self,
        slots: int,
        length: int,
        make: MakeContext,
        states: LayerStates,
        position_bytes: int,
        watched: bool = False,
    ) -> None:
        """
        Args:
            position_bytes: that keys and values of one position take in all layers.
            watched: whether hidden states will be asked for.
        """
        self.slots = slots
        self.length = length
        self._make = make
        self._states = states
        self._position_bytes = position_bytes
        self._context = make(slots, min(slots * length, PASS), states if watched else None)
        self._watched = watched
        self._lengths = [0] * slots

    @property
    def held_bytes(self) -> int:
        """Memory of all cells."""
        return self._context.cells * self._position_bytes

    @property
    def most_bytes(self) -> int:
        """What they take if every slot is full and no two texts begin the same way."""
        return self.slots * self.length * self._position_bytes

    @property
    def text_bytes(self) -> int:
        """Memory of the cells that slots refer to, or more where several refer to the same."""
        return min(sum(self._lengths) * self._position_bytes, self.held_bytes)

    def cut(self, slot: int, length: int) -> None:
        """See `KVCache`. Other slots may have the same cells."""
        if self._lengths[slot] > length:
            self._context.cut(slot, length)
            self._lengths[slot] = length

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """See `KVCache`. Nothing is moved: the cells are those of both slots from now on."""
        if source != target and start < end:
            self.cut(target, start)
            self._context.share(source, target, start, end)
            self._lengths[target] = end

    def run(
        self,
        token_ids: Numbers,
        slots: Numbers,
        positions: Numbers,
        wanted: NDArray[np.bool_],
        hidden_layers: Sequence[int],
    ) -> StepOutput:
        """Append tokens (N,) to slots, those of a slot in order; logits and states where they are `wanted`.

        Raises:
            CapacityError: a position that is not the next one of its slot or an earlier one, or there is no
                memory for more.
        """
        if hidden_layers and not self._watched:
            self._replace(self._context.cells, watched=True)
        self._rewind(slots, positions)
        size = min(PASS, self._context.outputs) if wanted.all() else PASS
        pieces = [slice(begin, begin + size) for begin in range(0, len(token_ids), size)]
        outputs = [
            self._run(token_ids[piece], slots[piece], positions[piece], wanted[piece], hidden_layers)
            for piece in pieces
        ]
        if len(outputs) == 1:
            return outputs[0]
        return StepOutput(
            torch.cat([output.logits for output in outputs]),
            {layer: torch.cat([output.hidden[layer] for output in outputs]) for layer in hidden_layers},
        )

    def _run(
        self,
        token_ids: Numbers,
        slots: Numbers,
        positions: Numbers,
        wanted: NDArray[np.bool_],
        hidden_layers: Sequence[int],
    ) -> StepOutput:
        """One pass, in a larger context if this one has no room."""
        reading = self._states.reading(hidden_layers) if hidden_layers else nullcontext(dict[int, States]())
        with reading as states:
            while (logits := self._context.run(token_ids, slots, positions, wanted)) is None:
                self._grow()
        for slot, position in zip(slots.tolist(), positions.tolist(), strict=True):
            self._lengths[slot] = position + 1
        rows = np.flatnonzero(wanted)
        return StepOutput(
            torch.from_numpy(logits).clone(),
            {layer: _at(states[layer], rows, len(token_ids)) for layer in hidden_layers},
        )

    def _rewind(self, slots: Numbers, positions: Numbers) -> None:
        """Have each slot end where its first token goes."""
        seen: set[int] = set()
        for slot, position in zip(slots.tolist(), positions.tolist(), strict=True):
            if slot not in seen:
                seen.add(slot)
                if position > self._lengths[slot]:
                    raise CapacityError(
                        f"slot {slot} holds {self._lengths[slot]} positions; the next cannot be {position}"
                    )
                self.cut(slot, position)

    def _grow(self) -> None:
        most = max(PASS, self.slots * self.length)
        if self._context.cells >= most:
            raise CapacityError(f"all {self._context.cells} positions of the cache are taken")
        self._replace(min(most, GROWTH * self._context.cells), self._watched)

    def _replace(self, cells: int, watched: bool) -> None:
        """Have another context take over. If there is no memory for it, nothing changes."""
        context = self._make(self.slots, cells, self._states if watched else None)
        context.take_over(self._context)
        self._context, self._watched = context, watched


def _at(states: States, rows: NDArray[np.intp], tokens: int) -> Tensor:
    """States at some of a pass's tokens. At the end llama.cpp has only those that are wanted."""
    return torch.from_numpy(states[rows] if len(states) == tokens else states)
