"""Our own network by the native step: the same `LanguageModel` as `models.decoder`, without torch between the
kernels. What a row gets is the same to the last bit whatever else is in the pass, however many threads there
are, and wherever a prompt was cut: every number is summed in one order."""

import ctypes
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.decoder import network_spec
from models.errors import CapacityError
from models.gpt2 import GPT2
from models.language_model import (
    MEASURES,
    EndTokens,
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
)
from models.native.library import Pass, Writing, load_library
from models.native.native_cache import NativeCache
from models.native.native_probes import NativeProbes, StepsSoFar
from models.native.packed_network import PackedNetwork
from models.native.rows_ahead import ResultsAhead, RowsAhead
from models.step_probes import StepProbe
from models.writing_ahead import Halt, ProbesAhead, RowAhead, WrittenAhead

FITS = -1
"""What `demur_run` answers when all went well; `NO_MEMORY`, or else the first token that does not fit."""
NO_MEMORY = -2


class NativeDecoder:
    """A `LanguageModel` over a packed copy of the weights of a `GPT2` on the CPU.

    int8: matrices are rounded to int8, and what they are multiplied with to 16 bits; see docs/decisions/0030.

    Raises:
        SpecError: the library is missing; see `models.native.library`.
    """

    def __init__(self, network: GPT2, name: str, *ends: EndTokens, int8: bool = False) -> None:
        self.spec = replace(network_spec(network, name, *ends, int8=int8), kernel="native")
        self._config = network.config
        self._library = load_library()
        self._network = PackedNetwork(network, torch.get_num_threads(), int8=int8)
        self._no_layers = (ctypes.c_void_p * (self.spec.n_layers + 1))()

    def new_cache(self, slots: int, length: int) -> NativeCache:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        return NativeCache(self._config, slots, length)

    def prefill(
        self, cache: NativeCache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots; see `LanguageModel`."""
        check_rows(cache, rows)
        columns = np.concatenate([_columns(row) for row in rows], axis=1)
        wanted = np.zeros(columns.shape[1], dtype=np.uint8)
        wanted[np.cumsum([len(row.token_ids) for row in rows]) - 1] = 1
        return self._pass(cache, columns, wanted, len(rows), hidden_layers)

    def step(
        self,
        cache: NativeCache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        columns = np.array((token_ids, slots, positions), dtype=np.int64)
        count = columns.shape[1]
        return self._pass(cache, columns, np.ones(count, dtype=np.uint8), count, hidden_layers)

    def extend(self, cache: NativeCache, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot, with logits and states at every one of them; see `LanguageModel`."""
        check_rows(cache, [row])
        count = len(row.token_ids)
        return self._pass(cache, _columns(row), np.ones(count, dtype=np.uint8), count, hidden_layers)

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        return self.extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def pack(self, probes: Sequence[StepProbe], layers: int) -> NativeProbes:
        """Make probes ready; see `WritesAhead`."""
        return NativeProbes(self._network.address, probes, layers)

    def write(
        self,
        cache: NativeCache,
        rows: Sequence[RowAhead],
        hidden_layers: Sequence[int],
        halt: Halt,
        probes: ProbesAhead | None = None,
    ) -> WrittenAhead:
        """Several tokens to each of several slots; see `WritesAhead`."""
        check_layers(self.spec, hidden_layers)
        assert probes is None or isinstance(probes, NativeProbes), "they were packed for another model"
        inputs = RowsAhead(rows)
        steps = None if probes is None else StepsSoFar([row.step for row in rows])
        read = 0 if probes is None else probes.count
        results = ResultsAhead(inputs.most_results, self.spec.d_model, hidden_layers, read)
        layers = (ctypes.c_void_p * (self.spec.n_layers + 1))(*results.addresses(self.spec.n_layers))
        writing = Writing(
            *inputs.counts(cache),
            *inputs.addresses(),
            halt.word.ctypes.data,
            cache.keys.data_ptr(),
            cache.values.data_ptr(),
            *results.own_addresses(),
            ctypes.addressof(layers),
            results.stride,
            None if probes is None else probes.address,
            None if steps is None else steps.address,
            *results.read_addresses(),
        )
        count = ctypes.c_int32()
        answer = self._library.demur_write(self._network.address, ctypes.byref(writing), ctypes.byref(count))
        if answer != FITS:
            raise _refusal(answer, inputs.columns, cache, self.spec)
        return results.first(count.value)

    def draw(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """A token of each row of logits; see `WritesAhead`."""
        rows, vocab_size = logits.shape
        logits, ids = logits.float().contiguous(), torch.empty(rows, dtype=torch.int64)
        answer = self._library.demur_draw(
            logits.data_ptr(), rows, vocab_size, uniforms.data_ptr(), ids.data_ptr()
        )
        if answer == NO_MEMORY:
            raise MemoryError("there is no memory for a draw")
        return ids

    def _pass(
        self,
        cache: NativeCache,
        columns: NDArray[np.int64],
        wanted: NDArray[np.uint8],
        results: int,
        hidden_layers: Sequence[int],
    ) -> StepOutput:
        """Run tokens: ids, slots and positions are the `columns` (3, T), and `results` of them are wanted.

        Raises:
            CapacityError: an id, slot or position that there is not, or a position that is not the next one.
        """
        if hidden_layers:
            check_layers(self.spec, hidden_layers)
        logits = torch.empty(results, self.spec.vocab_size)
        measures = torch.empty(results, len(MEASURES))
        hidden = {layer: torch.empty(results, self.spec.d_model) for layer in hidden_layers}
        layers = self._no_layers
        if hidden:
            layers = type(layers)()
            for layer, states in hidden.items():
                layers[layer] = states.data_ptr()
        count = columns.shape[1]
        first = columns.ctypes.data
        native_pass = Pass(
            count,
            cache.slots,
            cache.length,
            first,
            first + 8 * count,
            first + 16 * count,
            wanted.ctypes.data,
            cache.keys.data_ptr(),
            cache.values.data_ptr(),
            logits.data_ptr(),
            measures.data_ptr(),
            ctypes.addressof(layers),
            self.spec.d_model,
        )
        answer = self._library.demur_run(self._network.address, ctypes.byref(native_pass))
        if answer != FITS:
            raise _refusal(answer, columns, cache, self.spec)
        return StepOutput(logits, hidden, measures)


def _refusal(
    answer: int, columns: NDArray[np.int64], cache: NativeCache, spec: ModelSpec
) -> MemoryError | CapacityError:
    """What an answer other than `FITS` means."""
    if answer == NO_MEMORY:
        return MemoryError("there is no memory for a forward pass")
    token_id, slot, position = columns[:, answer].tolist()
    return CapacityError(
        f"token {token_id} at position {position} of slot {slot} does not fit: ids are 0 to "
        f"{spec.vocab_size - 1}, slots 0 to {cache.slots - 1}, positions 0 to {cache.length - 1}, and those "
        "of a slot follow each other"
    )


def _columns(row: PrefillRow) -> NDArray[np.int64]:
    """Ids, slots and positions (3, T) of tokens to append."""
    count = len(row.token_ids)
    return np.stack((row.token_ids, np.full(count, row.slot), np.arange(row.start, row.start + count)))
