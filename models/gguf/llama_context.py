"""One of llama.cpp's contexts: cells that hold keys and values of one position each, and passes over them.

A sequence is a set of cells. Sequences that begin the same way have cells in common."""

import weakref

import numpy as np
from numpy.typing import NDArray

from models.errors import CapacityError, ModelsError
from models.gguf.layer_states import LayerStates, States, TensorNames
from models.gguf.llama_library import LlamaBatch
from models.gguf.llama_model import LlamaModel

Numbers = NDArray[np.int32]

PASS = 512
"""Tokens of a pass at most, and the least number of cells."""

OUTPUTS = 64
"""Tokens of a pass at most whose logits are wanted, if there are not more sequences."""

MOST_SEQUENCES = 256
"""llama.cpp keeps the sequences of a cell in so many bits."""

_FULL = 1
_NO_FLASH_ATTENTION = 0


class LlamaContext:
    """Cells, and what is computed with them. It is freed when nobody refers to it any more.

    Raises:
        CapacityError: there is no memory for so many cells.
    """

    def __init__(
        self,
        model: LlamaModel,
        sequences: int,
        cells: int,
        threads: int,
        watcher: LayerStates | TensorNames | None = None,
    ) -> None:
        """watcher: is told of the tensors of every pass."""
        self._model, self._c = model, model.c
        self._watcher = watcher  # its function must live as long as the context
        self.sequences = sequences
        self.outputs = max(sequences, OUTPUTS)
        params = self._c.llama_context_default_params()
        params.n_ctx = max(cells, PASS)
        params.n_batch = params.n_ubatch = PASS
        params.n_seq_max = sequences
        params.n_outputs_max, params.n_outputs_max_per_seq = self.outputs, 0
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        params.swa_full = True  # else what leaves a layer's window cannot be gone back to
        # On a CPU it sums in half precision, in the order of the cells: a text's logits would depend in their
        # second digit on where in the cache it lies.
        params.flash_attn_type = _NO_FLASH_ATTENTION
        if watcher is not None:
            params.cb_eval = watcher.callback
        model.library.complaint()
        self._handle = self._c.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise CapacityError(
                f"llama.cpp makes no cache of {params.n_ctx} positions: {model.library.complaint()}"
            )
        # It is freed before its model, also where both go at once. Not when Python ends: a thread may be in a
        # pass still.
        weakref.finalize(self, _free, model, self._handle).atexit = False
        self._memory = self._c.llama_get_memory(self._handle)
        self.cells: int = self._c.llama_n_ctx(self._handle)
        self._batch = _Batch(PASS)

    @property
    def has_memory(self) -> bool:
        """Whether it has cells at all: a model that reads in both directions has none."""
        return bool(self._memory)

    def cut(self, sequence: int, length: int) -> None:
        """Keep the first `length` positions of a sequence."""
        self._c.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Add positions `start` to `end` of one sequence to another."""
        self._c.llama_memory_seq_cp(self._memory, source, target, start, end)

    def state_bytes(self) -> int:
        """What `take_over` would move."""
        return self._c.llama_state_get_size(self._handle)

    def take_over(self, other: "LlamaContext") -> None:
        """Hold what another context holds, in cells of its own.

        Raises:
            ModelsError: llama.cpp refuses.
        """
        state = np.empty(other.state_bytes(), np.uint8)
        self._model.library.complaint()
        size = self._c.llama_state_get_data(other._handle, state.ctypes.data, state.size)
        if not size or not self._c.llama_state_set_data(self._handle, state.ctypes.data, size):
            raise ModelsError(f"keys and values cannot be moved: {self._model.library.complaint()}")

    def run(
        self, token_ids: Numbers, sequences: Numbers, positions: Numbers, wanted: NDArray[np.bool_]
    ) -> States | None:
        """One pass over at most `PASS` tokens (N,), the next ones of their sequences. None if there are too
        few free cells; then nothing has changed. Else logits (M, V) where they are `wanted`, at most
        `outputs` of them; they are valid until the next pass.

        Raises:
            ModelsError: llama.cpp refuses.
        """
        self._model.library.complaint()
        batch = self._batch.filled(token_ids, sequences, positions, wanted)
        result = self._c.llama_decode(self._handle, batch)
        if result == _FULL:
            return None
        if result != 0:
            raise ModelsError(f"llama.cpp refuses a pass ({result}): {self._model.library.complaint()}")
        rows = int(np.count_nonzero(wanted))
        first = self._c.llama_get_logits(self._handle)
        return np.ctypeslib.as_array(first, (rows, self._model.vocab_size))


def _free(model: LlamaModel, handle: int) -> None:
    model.c.llama_free(handle)


class _Batch:
    """The arrays that llama.cpp reads tokens from, filled anew for every pass."""

    def __init__(self, size: int) -> None:
        self._token_ids = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._counts = np.ones(size, np.int32)  # of the sequences of each token
        self._sequences = np.zeros(size, np.int32)
        self._pointers = self._sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._wanted = np.zeros(size, np.int8)
        arrays = self._positions, self._counts, self._pointers, self._wanted
        self._batch = LlamaBatch(
            0, self._token_ids.ctypes.data, None, *(array.ctypes.data for array in arrays)
        )

    def filled(
        self, token_ids: Numbers, sequences: Numbers, positions: Numbers, wanted: NDArray[np.bool_]
    ) -> LlamaBatch:
        size = self._batch.n_tokens = len(token_ids)
        self._token_ids[:size] = token_ids
        self._sequences[:size] = sequences
        self._positions[:size] = positions
        self._wanted[:size] = wanted
        return self._batch
