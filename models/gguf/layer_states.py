"""The residual stream, read from llama.cpp's graph while it is computed.

llama.cpp asks of every tensor whether somebody wants it, by a function that it is given when a context is
made, and stops the computation where one is. Asking costs some percent of a step, so contexts are made
without until the first layer is asked for."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from models.gguf.llama_library import EvalCallback, LlamaLibrary

States = NDArray[np.float32]

_STREAM = re.compile(rb"inp(L|_embd|_scaled|_embd_scaled|_norm)|embd|embd_norm")
"""What tensors before the first layer are called that are the whole of the stream; the last one is it."""


class LayerStates:
    """What a context's passes compute at named tensors.

    callback: to be given to the context; it lives as long as this object.
    """

    def __init__(self, library: LlamaLibrary, names: Sequence[bytes], d_model: int) -> None:
        """names: of each layer's tensor, from layer 0 on."""
        self.callback = EvalCallback(self._evaluated)
        self._name_of = library.c.ggml_get_name
        self._bytes_of = library.c.ggml_nbytes
        self._read = library.c.ggml_backend_tensor_get
        self._layers = {name: layer for layer, name in enumerate(names)}
        self._d_model = d_model
        self._wanted: dict[bytes, int] = {}
        self._states: dict[int, States] = {}

    @contextmanager
    def reading(self, layers: Sequence[int]) -> Generator[dict[int, States]]:
        """Keep the states (rows, D) of these layers of the pass that runs meanwhile."""
        self._wanted = {name: layer for name, layer in self._layers.items() if layer in layers}
        self._states = {}
        try:
            yield self._states
        finally:
            self._wanted, self._states = {}, {}

    def _evaluated(self, tensor: int, asked: bool, _data: object) -> bool:
        layer = self._wanted.get(self._name_of(tensor)) if self._wanted else None
        if asked or layer is None:
            return layer is not None
        size = self._bytes_of(tensor)
        states = np.empty((size // (4 * self._d_model), self._d_model), np.float32)
        self._read(tensor, states.ctypes.data, 0, size)
        self._states[layer] = states
        return True


class TensorNames:
    """Notes what the tensors of a pass are called, in the order in which they are computed."""

    def __init__(self, library: LlamaLibrary) -> None:
        self.callback = EvalCallback(self._evaluated)
        self._name_of = library.c.ggml_get_name
        self._names: list[bytes] = []

    def of_layers(self, n_layers: int) -> tuple[bytes, ...]:
        """Those of layer 0 to `n_layers`; none where llama.cpp's graph of this architecture does not name
        them all."""
        outputs = [f"l_out-{layer}".encode() for layer in range(n_layers)]
        begin = next((place for place, name in enumerate(self._names) if name.endswith(b"-0")), 0)
        first = [name for name in self._names[:begin] if _STREAM.fullmatch(name)]
        if not first or not set(outputs) <= set(self._names):
            return ()
        return (first[-1], *outputs)

    def _evaluated(self, tensor: int, _asked: bool, _data: object) -> bool:
        self._names.append(self._name_of(tensor))
        return False
