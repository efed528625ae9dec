"""Rows that run one after the other, each over a cache of transformers' own.

Slower than `models.hub.batched`, but it knows every architecture that transformers knows and whose past can
be cut short."""

from collections.abc import Sequence
from typing import Any

import torch

from models.errors import ArtifactError, CapacityError
from models.hub.description import position_bytes
from models.hub.residual_stream import ResidualStream
from models.language_model import (
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
)


class RowCaches:
    """One of transformers' `DynamicCache` per slot, cropped to the caller's position before it grows."""

    def __init__(self, slots: int, length: int, position_bytes: int) -> None:
        self.length = length
        self._position_bytes = position_bytes  # of all layers
        self.rows = [_new_row() for _ in range(slots)]

    @property
    def slots(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @property
    def held_bytes(self) -> int:
        """Memory of the keys and values."""
        return self._position_bytes * sum(row.get_seq_length() for row in self.rows)

    @property
    def most_bytes(self) -> int:
        """What they take if every slot is full."""
        return self.slots * self.length * self._position_bytes

    @property
    def text_bytes(self) -> int:
        """The same: slots that hold no text take nothing."""
        return self.held_bytes

    def cut(self, slot: int, length: int) -> None:
        """See `KVCache`."""
        if length == 0:
            self.rows[slot] = _new_row()
        else:
            _crop(self.rows[slot], length)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`."""
        made = _new_row()
        for row, first, last in ((self.rows[target], 0, start), (self.rows[source], start, end)):
            for number, layer in enumerate(row.layers if first < last else ()):
                made.update(layer.keys[:, :, first:last], layer.values[:, :, first:last], number)
        self.rows[target] = made  # only now, so that a copy that fails leaves what was there


class RowByRowModel:
    """A `LanguageModel` over a network of transformers whose past can be cut short; see `check_past`."""

    def __init__(self, network: Any, spec: ModelSpec, stream: ResidualStream) -> None:
        self.spec = spec
        self._network = network
        self._stream = stream
        self._position_bytes = position_bytes(network)

    def new_cache(self, slots: int, length: int) -> RowCaches:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        return RowCaches(slots, length, self._position_bytes)

    @torch.inference_mode()
    def prefill(
        self, cache: RowCaches, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; see `LanguageModel`."""
        check_rows(cache, rows)
        outputs = [self._extend(cache, row, hidden_layers, keep=1) for row in rows]
        return StepOutput(
            logits=torch.stack([output.logits[-1] for output in outputs]),
            hidden={
                layer: torch.stack([output.hidden[layer][-1] for output in outputs])
                for layer in hidden_layers
            },
        )

    def step(
        self,
        cache: RowCaches,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        triples = zip(slots, positions, token_ids, strict=True)
        rows = [PrefillRow(int(slot), int(start), (int(id_),)) for slot, start, id_ in triples]
        return self.prefill(cache, rows, hidden_layers)

    @torch.inference_mode()
    def extend(self, cache: RowCaches, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot, with logits and states at every one of them; see `LanguageModel`."""
        check_rows(cache, [row])
        return self._extend(cache, row, hidden_layers, keep=0)

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        return self.extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def _extend(
        self, cache: RowCaches, row: PrefillRow, hidden_layers: Sequence[int], keep: int
    ) -> StepOutput:
        """Run one row; the output has all of its new positions, the logits the last `keep`, 0 for all."""
        check_layers(self.spec, hidden_layers)
        past = cache.rows[row.slot]
        if past.get_seq_length() < row.start:
            raise CapacityError(
                f"slot {row.slot} holds {past.get_seq_length()} positions; the next cannot be {row.start}"
            )
        _crop(past, row.start)
        with self._stream.reading(hidden_layers) as states:
            output = self._network(
                input_ids=torch.tensor([row.token_ids], device=self._network.device),
                past_key_values=past,
                use_cache=True,
                logits_to_keep=keep,
            )
        return StepOutput(
            logits=output.logits[0].float(),
            hidden={layer: states[layer][0].float() for layer in hidden_layers},
        )


def check_past(network: Any) -> None:
    """Refuse recurrent and other layers whose past is not a list of keys and values.

    Raises:
        ArtifactError: it has such layers.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    config = network.config.get_text_config(decoder=True)
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    if odd := kinds - {DynamicLayer, DynamicSlidingWindowLayer}:
        raise ArtifactError(
            f"a {config.model_type} model keeps its past in {odd.pop().__name__}, which cannot be cut short; "
            "only models with attention layers throughout can be served"
        )


def _new_row() -> Any:
    from transformers import DynamicCache

    # Without a config every layer keeps its whole past, also one that attends to a window of it.
    return DynamicCache()


def _crop(cache: Any, length: int) -> None:
    """Keep the first `length` positions. Not by transformers, which drops so many of every layer: where a
    pass failed half way, those that it did not come to hold fewer."""
    for layer in cache.layers:
        if layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]
