"""GPT-2 over a slotted KV cache: rows at different positions, one forward pass for all of them."""

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from models.gpt2 import GPT2, GPT2Config, rotary_angles, rotate
from models.language_model import (
    EndTokens,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
    end_token_ids,
)

MAX_SPREAD = 2
"""Slots that a pass may read for each that it asks for; beyond, picking out those asked for is cheaper."""


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

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`."""
        self.keys[:, target, :, start:end] = self.keys[:, source, :, start:end]
        self.values[:, target, :, start:end] = self.values[:, source, :, start:end]


class Decoder:
    """A `LanguageModel` over the weights of a `GPT2`, which it shares and never changes."""

    def __init__(self, network: GPT2, name: str, *ends: EndTokens) -> None:
        self._network = network
        config = network.config
        self.spec = ModelSpec(
            name=name,
            vocab_size=config.vocab_size,
            context_length=config.context_length,
            d_model=config.d_model,
            n_layers=config.n_layers,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            end_token_ids=end_token_ids(*ends, vocab_size=config.vocab_size),
        )
        positions = torch.arange(config.context_length, device=self._weight.device)
        self._rotation = rotary_angles(config, positions) if config.positions == "rotary" else None

    @property
    def _weight(self) -> Tensor:
        return self._network.token_embedding.weight

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
        device = self._weight.device
        lengths = [len(row.token_ids) for row in rows]
        width = max(lengths)
        padded = [[*row.token_ids, *([0] * (width - len(row.token_ids)))] for row in rows]
        token_ids = torch.tensor(padded, device=device)
        slots = torch.tensor([row.slot for row in rows], device=device)
        starts = torch.tensor([row.start for row in rows], device=device)
        last = torch.tensor(lengths, device=device) - 1
        columns = torch.arange(width, device=device)
        valid = columns <= last[:, None]
        # Padding repeats the row's last position, is written nowhere and read by nobody.
        positions = starts[:, None] + torch.minimum(columns, last[:, None])
        return self._forward(cache, token_ids, slots, positions, valid, last, hidden_layers)

    @torch.inference_mode()
    def step(
        self,
        cache: SlotCache,
        token_ids: Tensor,
        slots: Tensor,
        positions: Tensor,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        device = self._weight.device
        token_ids, slots, positions = (tensor.to(device) for tensor in (token_ids, slots, positions))
        # In the order of their slots, rows can read the cache where it lies.
        order = None if _is_rising(slots) else slots.argsort()
        if order is not None:
            token_ids, slots, positions = (tensor[order] for tensor in (token_ids, slots, positions))
        output = self._forward(
            cache, token_ids[:, None], slots, positions[:, None], None, None, hidden_layers
        )
        if order is None:
            return output
        back = order.argsort()
        hidden = {layer: states[back] for layer, states in output.hidden.items()}
        return StepOutput(logits=output.logits[back], hidden=hidden)

    @torch.inference_mode()
    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        device = self._weight.device
        ids = torch.tensor([list(token_ids)], device=device)
        positions = torch.arange(len(token_ids), device=device)[None]
        slots = torch.zeros(1, dtype=torch.int64, device=device)
        states = self._states(cache, ids, slots, positions, None, hidden_layers)
        return self._output({layer: state[0] for layer, state in states.items()}, hidden_layers)

    def _forward(
        self,
        cache: SlotCache,
        token_ids: Tensor,
        slots: Tensor,
        positions: Tensor,
        valid: Tensor | None,
        last: Tensor | None,
        hidden_layers: Sequence[int],
    ) -> StepOutput:
        states = self._states(cache, token_ids, slots, positions, valid, hidden_layers)
        if last is None:
            return self._output({layer: state[:, 0] for layer, state in states.items()}, hidden_layers)
        rows = torch.arange(len(slots), device=slots.device)
        return self._output({layer: state[rows, last] for layer, state in states.items()}, hidden_layers)

    def _states(
        self,
        cache: SlotCache,
        token_ids: Tensor,
        slots: Tensor,
        positions: Tensor,
        valid: Tensor | None,
        hidden_layers: Sequence[int],
    ) -> dict[int, Tensor]:
        """Residual stream (B, T, D) at the layers asked for and at the last one, filling the cache."""
        check_layers(self.spec, hidden_layers)
        network, config = self._network, self._network.config
        rows, width = token_ids.shape
        reach = int(positions.max()) + 1
        read = _Read(slots)
        visible = (torch.arange(reach, device=positions.device) <= positions[..., None])[:, None]
        visible = read.spread(visible)
        write = _WriteIndex(slots, positions, valid)
        rotation = None
        if self._rotation is not None:
            cosine, sine = self._rotation
            rotation = (cosine[positions][:, :, None], sine[positions][:, :, None])

        def attend_in(layer: int, qkv: Tensor) -> Tensor:
            query, key, value = qkv.view(rows, width, 3, config.n_heads, config.head_size).unbind(2)
            if rotation is not None:
                query, key = rotate(query, *rotation), rotate(key, *rotation)
            keys, values = cache.keys[layer], cache.values[layer]
            # (slot, :, position) of the cache takes (heads, head size) of each token written.
            keys[write.slots, :, write.positions] = write.select(key)
            values[write.slots, :, write.positions] = write.select(value)
            out = F.scaled_dot_product_attention(
                read.spread(query.transpose(1, 2)),
                keys[read.slots, :, :reach],
                values[read.slots, :, :reach],
                attn_mask=visible,
            )
            return read.gather(out).transpose(1, 2).reshape(rows, width, config.d_model)

        wanted = {*hidden_layers, config.n_layers}
        x = network.embed(token_ids, positions)
        states = {0: x} if 0 in wanted else {}
        for layer, block in enumerate(network.blocks):
            x = block(x, partial(attend_in, layer))
            if layer + 1 in wanted:
                states[layer + 1] = x
        return states

    def _output(self, states: dict[int, Tensor], hidden_layers: Iterable[int]) -> StepOutput:
        logits = self._network.unembed(states[self.spec.n_layers]).float()
        return StepOutput(logits=logits, hidden={layer: states[layer].float() for layer in hidden_layers})


def _is_rising(slots: Tensor) -> bool:
    return bool((slots.diff() > 0).all())


class _Read:
    """Which slots of the cache a pass reads.

    To pick slots copies all their keys and values in every layer. So where slots in rising order lie close
    together, all from the first to the last are read, as a view, and those in between that are not asked for
    get a row that nobody looks at.

    slots: what to index the cache with.
    """

    def __init__(self, slots: Tensor) -> None:
        first, last = int(slots[0]), int(slots[-1])
        span = last - first + 1
        self.slots: Tensor | slice = slots
        self._span, self._places = len(slots), None
        if _is_rising(slots) and span <= MAX_SPREAD * len(slots):
            self.slots = slice(first, last + 1)
            self._span, self._places = span, None if span == len(slots) else slots - first

    def spread(self, rows: Tensor) -> Tensor:
        """(B, ...) to a row per slot that is read; those not asked for repeat the first one."""
        if self._places is None:
            return rows
        spread = rows[:1].repeat(self._span, *[1] * (rows.dim() - 1))
        spread[self._places] = rows
        return spread

    def gather(self, spread: Tensor) -> Tensor:
        """The rows that were asked for."""
        return spread if self._places is None else spread[self._places]


class _WriteIndex:
    """Where the tokens of a pass go in the cache, padding left out."""

    def __init__(self, slots: Tensor, positions: Tensor, valid: Tensor | None) -> None:
        expanded = slots[:, None].expand_as(positions)
        self._valid = valid
        self.slots = self.select(expanded)
        self.positions = self.select(positions)

    def select(self, per_token: Tensor) -> Tensor:
        """(B, T, ...) to (tokens, ...)."""
        return per_token.flatten(0, 1) if self._valid is None else per_token[self._valid]
