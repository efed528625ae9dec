"""One forward pass of a network of transformers for rows at different positions."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.hub.description import position_bytes
from models.hub.head import Head
from models.hub.masks import additive_masks, needs_no_mask, windows_of
from models.hub.pass_cache import OneRow, PassCache, SeveralRows
from models.hub.residual_stream import ResidualStream
from models.hub.token_pool import Need, TokenPool
from models.language_model import (
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
)

Ids = NDArray[np.int64]

MAX_PADDING = 2
"""Tokens that rows of a prefill may be padded to for each that they have; beyond, they run apart."""


class BatchedModel:
    """A `LanguageModel` over a network of transformers.

    Raises:
        ArtifactError: it has layers that attend in a way that is not known here.
    """

    def __init__(self, network: Any, spec: ModelSpec, stream: ResidualStream) -> None:
        self.spec = spec
        self._network = network
        self._stream = stream
        self._head = Head(network)
        self._position_bytes = position_bytes(network)
        self._config = network.config.get_text_config(decoder=True)
        self._is_sdpa = self._config._attn_implementation == "sdpa"
        self._has_shared_layers = bool(getattr(self._config, "num_kv_shared_layers", 0))
        windows_of(self._config)

    def new_cache(self, slots: int, length: int) -> TokenPool:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        return TokenPool(slots, length, self._position_bytes)

    @torch.inference_mode()
    def prefill(
        self, cache: TokenPool, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; see `LanguageModel`."""
        check_rows(cache, rows)
        check_layers(self.spec, hidden_layers)
        groups = alike([len(row.token_ids) for row in rows])
        outputs = [self._prefill(cache, [rows[place] for place in group], hidden_layers) for group in groups]
        if len(outputs) == 1:
            return outputs[0]
        order = np.argsort(np.concatenate(groups))
        index = torch.from_numpy(order).to(outputs[0].logits.device)
        return StepOutput(
            logits=torch.cat([output.logits for output in outputs])[index],
            hidden={
                layer: torch.cat([output.hidden[layer] for output in outputs])[index]
                for layer in hidden_layers
            },
        )

    @torch.inference_mode()
    def step(
        self,
        cache: TokenPool,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        check_layers(self.spec, hidden_layers)
        ids, rows, at = with_room(cache, token_ids, slots, positions)
        return self._last(cache, ids[:, None], rows, at[:, None], at + 1, None, hidden_layers)

    @torch.inference_mode()
    def extend(self, cache: TokenPool, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot, with logits and states at every one of them; see `LanguageModel`."""
        check_rows(cache, [row])
        check_layers(self.spec, hidden_layers)
        ids = np.array([row.token_ids])
        positions = row.start + np.arange(ids.shape[1])[None]
        cache.reserve([Need(row.slot, row.start, row.start + ids.shape[1])])
        with self._stream.reading(hidden_layers) as states:
            logits = self._run(cache, ids, np.array([row.slot]), positions, positions[:, -1] + 1, None)
        hidden = {layer: states[layer][0].float() for layer in hidden_layers}
        return StepOutput(logits=logits[0].float(), hidden=hidden)

    @torch.inference_mode()
    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        check_cache_size(self.spec, 1, len(token_ids))
        check_layers(self.spec, hidden_layers)
        ids = torch.tensor([list(token_ids)], device=self._network.device)
        with self._stream.reading(hidden_layers) as states:
            logits = self._network(input_ids=ids, use_cache=False).logits
        hidden = {layer: states[layer][0].float() for layer in hidden_layers}
        return StepOutput(logits=logits[0].float(), hidden=hidden)

    def _prefill(
        self, cache: TokenPool, rows: Sequence[PrefillRow], hidden_layers: Sequence[int]
    ) -> StepOutput:
        lengths = np.array([len(row.token_ids) for row in rows])
        starts = np.array([row.start for row in rows])
        slots = np.array([row.slot for row in rows])
        columns = np.arange(lengths.max())
        # Padding repeats the row's last position, is written nowhere and read by nobody.
        positions = starts[:, None] + np.minimum(columns, lengths[:, None] - 1)
        token_ids = np.zeros_like(positions)
        for place, row in enumerate(rows):
            token_ids[place, : lengths[place]] = row.token_ids
        cache.reserve([Need(row.slot, row.start, row.start + len(row.token_ids)) for row in rows])
        return self._last(cache, token_ids, slots, positions, starts + lengths, lengths, hidden_layers)

    def _last(
        self,
        cache: TokenPool,
        token_ids: Ids,
        slots: Ids,
        positions: Ids,
        ends: Ids,
        lengths: Ids | None,
        hidden_layers: Sequence[int],
    ) -> StepOutput:
        """As `_run`, at the last token of each row."""
        rows = len(slots)
        last = np.zeros(rows, dtype=np.int64) if lengths is None else lengths - 1
        places, columns = self._on_device(np.stack((np.arange(rows), last)))
        with self._stream.reading(hidden_layers) as states, self._head.picking(places, columns):
            logits = self._run(cache, token_ids, slots, positions, ends, lengths)
        if logits.shape[1] > 1:  # of a head that is no module
            logits = logits[places, columns, None]
        return StepOutput(
            logits=logits[:, 0].float(),
            hidden={layer: _at(states[layer], places, columns).float() for layer in hidden_layers},
        )

    def _run(
        self, cache: TokenPool, token_ids: Ids, slots: Ids, positions: Ids, ends: Ids, lengths: Ids | None
    ) -> Tensor:
        """Run tokens (B, T) at `positions` (B, T) of `slots` (B,), whose texts then reach to `ends` (B,).

        lengths: (B,), how many of a row's tokens are no padding; None where none is. Returns the network's
        logits: (B, T, V), or (B, 1, V) where the head is given one state a row.
        """
        width, reach = token_ids.shape[1], int(ends.max())
        where = self._where(cache, slots, positions, ends, lengths)
        ids, at = self._on_device(np.stack((token_ids, positions)))
        windows = windows_of(self._config)
        if len(slots) == 1 and self._is_sdpa and needs_no_mask(windows, width, reach):
            mask = None
        else:
            mask = additive_masks(windows, at, reach, self._network.dtype)
        output = self._network(
            input_ids=ids,
            position_ids=at,
            attention_mask=mask,
            past_key_values=PassCache(cache, where),
            use_cache=True,
        )
        return output.logits

    def _where(
        self, cache: TokenPool, slots: Ids, positions: Ids, ends: Ids, lengths: Ids | None
    ) -> OneRow | SeveralRows:
        """Where in the pool the rows of a pass lie; see `_run`."""
        (rows, width), reach = positions.shape, int(ends.max())
        start = cache.start(int(slots[0]), reach) if rows == 1 else None
        if start is not None:
            end = start + reach
            return OneRow(slice(start, end), slice(end - width, end))
        into, written = cache.places(slots, positions).ravel(), None
        if lengths is not None and int(lengths.min()) < width:
            tokens = (np.arange(width) < lengths[:, None]).ravel().nonzero()[0]
            into, written = into[tokens], self._on_device(tokens)
        # Beyond the end of a row stands its last position: nothing of another row, and no stale number.
        seen = np.minimum(np.arange(reach), ends[:, None] - 1)
        read = self._on_device(cache.places(slots, seen).ravel())
        buffers = None if self._has_shared_layers else dict[Hashable, Tensor]()
        return SeveralRows(rows, reach, written, self._on_device(into), read, buffers)

    def _on_device(self, numbers: Ids) -> Tensor:
        return torch.from_numpy(numbers).to(self._network.device)


def _at(states: Tensor, places: Tensor, columns: Tensor) -> Tensor:
    return states[places.to(states.device), columns.to(states.device)]


def with_room(
    cache: TokenPool, token_ids: Integers, slots: Integers, positions: Integers
) -> tuple[Ids, Ids, Ids]:
    """Make room for one token in each of several slots. Returns ids, slots and positions, (B,) each."""
    ids, rows, at = np.array((token_ids, slots, positions), dtype=np.int64)
    cache.reserve(
        [Need(slot, start, start + 1) for slot, start in zip(rows.tolist(), at.tolist(), strict=True)]
    )
    return ids, rows, at


def alike(lengths: Sequence[int]) -> list[list[int]]:
    """Places of rows that run together, each group in order: of rows of like length as many as are not padded
    too much."""
    groups: list[list[int]] = []
    longest = tokens = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if not groups or longest * (len(groups[-1]) + 1) > MAX_PADDING * (tokens + lengths[place]):
            groups.append([])
            longest, tokens = lengths[place], 0
        groups[-1].append(place)
        tokens += lengths[place]
    return [sorted(group) for group in groups]
