"""A GGUF as a `LanguageModel`: llama.cpp computes, demur decides."""

from collections.abc import Sequence

import numpy as np
import torch

from models.errors import ArtifactError, CapacityError, SpecError
from models.gguf.layer_states import LayerStates, TensorNames
from models.gguf.llama_context import MOST_SEQUENCES, PASS, LlamaContext, Numbers
from models.gguf.llama_model import LlamaModel
from models.gguf.sequence_cache import SequenceCache
from models.language_model import (
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
)


class GgufModel:
    """A `LanguageModel` over the weights of a GGUF.

    Raises:
        ArtifactError: it reads a text in both directions, or its logits are no numbers.
    """

    def __init__(self, model: LlamaModel, spec: ModelSpec) -> None:
        self.spec = spec
        self._model = model
        self._threads = torch.get_num_threads()
        names = TensorNames(model.library)
        self._position_bytes = _try_out(LlamaContext(model, 1, PASS, self._threads, names))
        self._names = names.of_layers(model.n_layers)

    def new_cache(self, slots: int, length: int) -> SequenceCache:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        if slots > MOST_SEQUENCES:
            raise CapacityError(f"a cache of {slots} slots: llama.cpp takes at most {MOST_SEQUENCES}")
        return self._new_cache(slots, length, watched=False)

    def prefill(
        self, cache: SequenceCache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; see `LanguageModel`."""
        check_rows(cache, rows)
        self._check_layers(hidden_layers)
        lengths = np.array([len(row.token_ids) for row in rows])
        wanted = np.zeros(lengths.sum(), np.bool_)
        wanted[lengths.cumsum() - 1] = True
        return cache.run(
            np.concatenate([np.array(row.token_ids, np.int32) for row in rows]),
            np.repeat(np.array([row.slot for row in rows], np.int32), lengths),
            np.concatenate([_positions(row) for row in rows]),
            wanted,
            hidden_layers,
        )

    def step(
        self,
        cache: SequenceCache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        self._check_layers(hidden_layers)
        ids, rows, at = np.array((token_ids, slots, positions), dtype=np.int32)
        return cache.run(ids, rows, at, np.ones(len(ids), np.bool_), hidden_layers)

    def extend(self, cache: SequenceCache, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot, with logits and states at every one of them; see `LanguageModel`."""
        check_rows(cache, [row])
        self._check_layers(hidden_layers)
        ids = np.array(row.token_ids, np.int32)
        slots = np.full(len(ids), row.slot, np.int32)
        return cache.run(ids, slots, _positions(row), np.ones(len(ids), np.bool_), hidden_layers)

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        check_cache_size(self.spec, 1, len(token_ids))
        cache = self._new_cache(1, len(token_ids), watched=bool(hidden_layers))
        return self.extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def _new_cache(self, slots: int, length: int, *, watched: bool) -> SequenceCache:
        states = LayerStates(self._model.library, self._names, self.spec.d_model)
        return SequenceCache(slots, length, self._new_context, states, self._position_bytes, watched)

    def _new_context(self, sequences: int, cells: int, watcher: LayerStates | None) -> LlamaContext:
        return LlamaContext(self._model, sequences, cells, self._threads, watcher)

    def _check_layers(self, hidden_layers: Sequence[int]) -> None:
        check_layers(self.spec, hidden_layers)
        if hidden_layers and not self._names:
            raise SpecError(
                f"llama.cpp does not name the layers' outputs of {self.spec.name}, so there are no hidden "
                "states and no probes; convert it with demur convert for these"
            )


def _positions(row: PrefillRow) -> Numbers:
    return np.arange(row.start, row.start + len(row.token_ids), dtype=np.int32)


def _try_out(context: LlamaContext) -> int:
    """Run two tokens. Returns the memory that keys and values of one take in all layers.

    Raises:
        ArtifactError: the model reads a text in both directions, or its logits are no numbers.
    """
    if not context.has_memory:
        raise ArtifactError(
            "it is no decoder: it does not continue a text word by word; give a causal language model"
        )
    sizes: list[int] = []
    for position in range(2):
        logits = context.run(_ZERO, _ZERO, _ZERO + position, np.ones(1, np.bool_))
        if logits is None or not np.isfinite(logits).all():
            raise ArtifactError("its logits are no numbers: its weights are damaged")
        sizes.append(context.state_bytes())
    return sizes[1] - sizes[0]


_ZERO = np.zeros(1, np.int32)
