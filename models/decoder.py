"""GPT-2 over a slotted KV cache: rows at different positions, one forward pass for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.gpt2 import GPT2, GPT2Config, rotary_angles, rotate
from models.hub.dtypes import name_of
from models.int8_weights import with_rounded_weights
from models.language_model import (
    EndTokens,
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
    end_token_ids,
)

Ids = NDArray[np.int64]

MAX_SPREAD = 2
"""Slots that a pass may read for each that it asks for; beyond, picking out those asked for is cheaper."""


def network_spec(network: GPT2, name: str, *ends: EndTokens, int8: bool = False) -> ModelSpec:
    """What a network of ours is. ends: what its files say of the tokens that end a text. int8: weights."""
    config = network.config
    return ModelSpec(
        name=name,
        vocab_size=config.vocab_size,
        context_length=config.context_length,
        d_model=config.d_model,
        n_layers=config.n_layers,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        end_token_ids=end_token_ids(*ends, vocab_size=config.vocab_size),
        dtype="int8" if int8 else name_of(network.token_embedding.weight.dtype),
    )


class SlotCache:
    """Keys and values, each (layers, slots, heads, length, head size) in one tensor."""

    def __init__(self, config: GPT2Config, slots: int, length: int, like: Tensor) -> None:
        shape = (config.n_layers, slots, config.n_heads, length, config.head_size)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros_like(self.keys)

    @property
    def slots(self) -> int:
        """Number of rows."""
        return self.keys.shape[1]

    @property
    def length(self) -> int:
        """Positions per row."""
        return self.keys.shape[3]

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
        self.keys[:, target, :, start:end] = self.keys[:, source, :, start:end]
        self.values[:, target, :, start:end] = self.values[:, source, :, start:end]


class Decoder:
    """A `LanguageModel` over the weights of a `GPT2`, which it shares and never changes.

    int8: over a copy whose weights are those that int8 leaves of them, which shows what the native step
    computes, but neither saves memory nor time.
    """

    def __init__(self, network: GPT2, name: str, *ends: EndTokens, int8: bool = False) -> None:
        network = with_rounded_weights(network) if int8 else network
        self._network = network
        config = network.config
        self.spec = network_spec(network, name, *ends, int8=int8)
        self._head_size = config.head_size
        self._weight = network.token_embedding.weight
        positions = torch.arange(config.context_length, device=self._weight.device)
        self._rotation = rotary_angles(config, positions) if config.positions == "rotary" else None

    def new_cache(self, slots: int, length: int) -> SlotCache:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        return SlotCache(self._network.config, slots, length, self._weight)

    @torch.inference_mode()
    def prefill(
        self, cache: SlotCache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; see `LanguageModel`."""
        check_rows(cache, rows)
        lengths = np.array([len(row.token_ids) for row in rows])
        columns = np.arange(lengths.max())
        # Padding repeats the row's last position, is written nowhere and read by nobody.
        starts = np.array([row.start for row in rows])
        positions = starts[:, None] + np.minimum(columns, lengths[:, None] - 1)
        token_ids = np.zeros_like(positions)
        for place, row in enumerate(rows):
            token_ids[place, : lengths[place]] = row.token_ids
        slots = np.array([row.slot for row in rows])
        valid = columns < lengths[:, None]
        where = self._place(token_ids, slots, positions, rising=_is_rising(slots), valid=valid)
        states = self._states(cache, where, hidden_layers)
        places, last = self._on_device(np.stack((np.arange(len(rows)), lengths - 1)))
        return self._output({layer: state[places, last] for layer, state in states.items()}, hidden_layers)

    @torch.inference_mode()
    def step(
        self,
        cache: SlotCache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        columns = np.array((token_ids, slots, positions), dtype=np.int64)
        # In the order of their slots, rows can read the cache where it lies.
        order = None if _is_rising(columns[1]) else columns[1].argsort()
        ids, ordered_slots, at = columns if order is None else columns[:, order]
        states = self._states(cache, self._place(ids[:, None], ordered_slots, at[:, None]), hidden_layers)
        output = self._output({layer: state[:, 0] for layer, state in states.items()}, hidden_layers)
        if order is None:
            return output
        back = self._on_device(order.argsort())
        hidden = {layer: state[back] for layer, state in output.hidden.items()}
        return StepOutput(logits=output.logits[back], hidden=hidden)

    @torch.inference_mode()
    def extend(self, cache: SlotCache, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot, with logits and states at every one of them; see `LanguageModel`."""
        check_rows(cache, [row])
        ids = np.array([row.token_ids], dtype=np.int64)
        positions = row.start + np.arange(ids.shape[1])[None]
        states = self._states(cache, self._place(ids, np.array([row.slot]), positions), hidden_layers)
        return self._output({layer: state[0] for layer, state in states.items()}, hidden_layers)

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        return self.extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def _on_device(self, numbers: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(numbers).to(self._weight.device)

    def _place(
        self,
        token_ids: Ids,
        slots: Ids,
        positions: Ids,
        *,
        rising: bool = True,
        valid: NDArray[np.bool_] | None = None,
    ) -> "_Places":
        """Where tokens (B, T) at `positions` (B, T) of `slots` (B,) lie, worked out on the host, where nobody
        waits for the device. rising: the slots are in order. valid: (B, T), False for padding, if any."""
        ids, at = self._on_device(np.stack((token_ids, positions)))
        on_device = self._on_device(slots)
        first, last = int(slots[0]), int(slots[-1])
        span, rows, among = last - first + 1, len(slots), None
        read = on_device
        if rising and span <= MAX_SPREAD * rows:
            read = slice(first, last + 1)
            among = None if span == rows else on_device - first
            rows = span
        written, into = None, (on_device[:, None].expand_as(at).flatten(), at.flatten())
        if valid is not None:
            written = self._on_device(valid.ravel().nonzero()[0])
            into = (into[0][written], into[1][written])
        return _Places(ids, at, int(positions.max()) + 1, read, rows, among, into, written)

    def _states(self, cache: SlotCache, where: "_Places", hidden_layers: Sequence[int]) -> dict[int, Tensor]:
        """Residual stream (B, T, D) at the layers asked for and at the last one, filling the cache."""
        if hidden_layers:
            check_layers(self.spec, hidden_layers)
        network, config, head_size = self._network, self._network.config, self._head_size
        rows, width = where.token_ids.shape
        reach, read, among, written = where.reach, where.read, where.among, where.written
        into_slots, into_positions = where.into
        reached = torch.arange(reach, device=where.positions.device)
        visible = (reached <= where.positions[..., None])[:, None]
        if among is not None:
            visible = where.spread(visible)
        rotation = None
        if self._rotation is not None:
            cosine, sine = self._rotation
            rotation = cosine[where.positions][:, :, None, None], sine[where.positions][:, :, None, None]

        def attend_in(layer: int, qkv: Tensor) -> Tensor:
            heads = qkv.view(rows, width, 3, config.n_heads, head_size)
            turned = heads[:, :, :2] if rotation is None else rotate(heads[:, :, :2], *rotation)
            query, key = turned.unbind(2)
            key, value = key.flatten(0, 1), heads[:, :, 2].flatten(0, 1)
            if written is not None:
                key, value = key[written], value[written]
            keys, values = cache.keys[layer], cache.values[layer]
            # (slot, :, position) of the cache takes (heads, head size) of each token written.
            keys[into_slots, :, into_positions] = key
            values[into_slots, :, into_positions] = value
            query = query.transpose(1, 2)
            out = F.scaled_dot_product_attention(
                query if among is None else where.spread(query),
                keys[read, :, :reach],
                values[read, :, :reach],
                attn_mask=visible,
            )
            if among is not None:
                out = out[among]
            return out.transpose(1, 2).reshape(rows, width, config.d_model)

        wanted = {*hidden_layers, config.n_layers}
        x = network.embed(where.token_ids, where.positions)
        states = {0: x} if 0 in wanted else {}
        for layer, block in enumerate(network.blocks):
            x = block(x, partial(attend_in, layer))
            if layer + 1 in wanted:
                states[layer + 1] = x
        return states

    def _output(self, states: dict[int, Tensor], hidden_layers: Sequence[int]) -> StepOutput:
        logits = self._network.unembed(states[self.spec.n_layers]).float()
        return StepOutput(logits=logits, hidden={layer: states[layer].float() for layer in hidden_layers})


def _is_rising(slots: Ids) -> bool:
    return bool((slots[1:] > slots[:-1]).all())


@dataclass(frozen=True, slots=True)
class _Places:
    """The tokens of a pass, and where in the cache they are written and what they read there.

    To pick slots copies all their keys and values in every layer. So where slots in rising order lie close
    together, all from the first to the last are read, as a view, and those in between that are not asked for
    get a row that nobody looks at.

    token_ids, positions: (B, T). reach: positions that are read, from 0 on.
    read: what to index the cache's slots with, which gives `rows` of them. among: (B,), which of these are
        asked for; None if all are.
    into: slot and position (tokens,) of what is written. written: (tokens,), which of the B * T tokens that
        are; None if all are.
    """

    token_ids: Tensor
    positions: Tensor
    reach: int
    read: Tensor | slice
    rows: int
    among: Tensor | None
    into: tuple[Tensor, Tensor]
    written: Tensor | None

    def spread(self, asked: Tensor) -> Tensor:
        """(B, ...) to a row per slot that is read; those not asked for repeat the first one."""
        spread = asked[:1].repeat(self.rows, *[1] * (asked.dim() - 1))
        spread[self.among] = asked
        return spread
