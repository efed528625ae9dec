"""The weights of a GGUF, loaded by llama.cpp."""

import ctypes
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ArtifactError, SpecError
from models.gguf.llama_library import LlamaLibrary, llama_library

_READ = 0
"""llama.cpp's number for reading a file into memory. One that is mapped and then changed ends the process."""

_LONGEST = 128  # bytes of a description


@dataclass(frozen=True, eq=False)
class LlamaModel:
    """A loaded file. It is freed when nobody refers to it any more.

    handle: llama.cpp's. quantisation: what llama.cpp calls that of most weights.
    """

    library: LlamaLibrary
    handle: int
    vocab_size: int
    context_length: int
    d_model: int
    n_layers: int
    parameters: int
    quantisation: str

    @property
    def c(self) -> Any:
        """The functions that take the handle."""
        return self.library.c


def load_llama_model(path: Path, device: str) -> LlamaModel:
    """Load a file.

    device: cpu, or any other for all GPUs that llama.cpp finds.

    Raises:
        ArtifactError: llama.cpp cannot load it, or what it holds is no decoder whose past can be cut short.
        SpecError: the library was built for no GPU.
    """
    library = llama_library()
    c = library.c
    if device != "cpu" and not c.llama_supports_gpu_offload():
        raise SpecError(
            f"device {device!r} needs a build of xllamacpp for it, and this one is for CPUs; use cpu, or "
            "install that build"
        )
    params = c.llama_model_default_params()
    params.n_gpu_layers = 0 if device == "cpu" else -1
    params.load_mode = _READ
    params.check_tensors = True
    library.complaint()
    handle = c.llama_model_load_from_file(os.fsencode(path), params)
    if not handle:
        raise ArtifactError(f"llama.cpp cannot load it: {library.complaint()}")
    model = LlamaModel(
        library,
        handle,
        vocab_size=c.llama_vocab_n_tokens(c.llama_model_get_vocab(handle)),
        context_length=c.llama_model_n_ctx_train(handle),
        d_model=c.llama_model_n_embd(handle),
        n_layers=c.llama_model_n_layer(handle),
        parameters=c.llama_model_n_params(handle),
        quantisation=_quantisation(c, handle),
    )
    weakref.finalize(model, c.llama_model_free, handle).atexit = False
    _check_kind(model)
    return model


def _check_kind(model: LlamaModel) -> None:
    c, handle = model.c, model.handle
    if c.llama_model_is_recurrent(handle) or c.llama_model_is_hybrid(handle):
        raise ArtifactError(
            "it keeps its past in recurrent layers, which cannot be cut short; only models with attention "
            "layers throughout can be served"
        )
    if c.llama_model_has_encoder(handle) or c.llama_model_is_diffusion(handle):
        raise ArtifactError(
            "it is no decoder: it does not continue a text word by word; give a causal language model"
        )


def _quantisation(c: Any, handle: int) -> str:
    """The last part of a description such as `llama 8B Q4_K - Medium` or `llama 1B (guessed) all F32`."""
    text = ctypes.create_string_buffer(_LONGEST)
    c.llama_model_desc(handle, text, _LONGEST)
    last = text.value.decode(errors="replace").split(" ", 2)[-1]
    return last.replace("(guessed)", "").replace("all ", "").strip()
