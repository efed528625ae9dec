"""llama.cpp's C interface, out of the shared library that the package xllamacpp brings along.

The package wraps llama.cpp's server; what forks, rewinds and reads hidden states is in the C interface
beneath, whose symbols its library exports. Structures of a C interface change with its version, so one
version is taken, and before anything else the library's own defaults are compared with what they are known
to be: a field that had moved would show there.
"""

import ctypes
import logging
import os
from collections import deque
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int32, c_size_t, c_uint8, c_uint32, c_void_p
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.errors import ArtifactError

VERSION = "2026.10.11549"
"""Of xllamacpp, as `pyproject.toml` has it: that which the structures below are of."""

log = logging.getLogger(__name__)

EvalCallback = ctypes.CFUNCTYPE(c_bool, c_void_p, c_bool, c_void_p)
"""Told of a tensor and whether it is asked about or computed; says whether it is wanted, or to go on."""

_LogCallback = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

_ERROR = 4
"""ggml's number for the level of a line of its log."""

_SPARE = 256
"""Bytes behind a structure that is returned by value. It is the last argument wherever it is handed over, so
none is misplaced by them, and a library whose structure is longer than known overwrites nothing."""


class ModelParams(ctypes.Structure):
    """`llama_model_params`: how a file is loaded."""

    _fields_ = (
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
        ("spare", c_uint8 * _SPARE),
    )


class ContextParams(ctypes.Structure):
    """`llama_context_params`: a cache, and how it is computed with."""

    _fields_ = (
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", EvalCallback),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
        ("spare", c_uint8 * _SPARE),
    )


class LlamaBatch(ctypes.Structure):
    """`llama_batch`: tokens, each at a position of one sequence."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    )


F16 = 1
"""ggml's number for the type."""

_DEFAULTS: dict[str, tuple[type[ctypes.Structure], dict[str, object]]] = {
    "llama_model_default_params": (
        ModelParams,
        {
            "n_gpu_layers": -1,
            "split_mode": 1,
            "load_mode": -1,
            "lazy_mode": 1,
            "check_tensors": False,
            "use_extra_bufts": True,
            "no_host": False,
        },
    ),
    "llama_context_default_params": (
        ContextParams,
        {
            "n_ctx": 512,
            "n_batch": 2048,
            "n_ubatch": 512,
            "n_seq_max": 1,
            "n_outputs_max_per_seq": 1,
            "n_threads": 4,
            "n_threads_batch": 4,
            "rope_scaling_type": -1,
            "flash_attn_type": -1,
            "rope_freq_base": 0.0,
            "yarn_ext_factor": -1.0,
            "defrag_thold": -1.0,
            "type_k": F16,
            "type_v": F16,
            "embeddings": False,
            "offload_kqv": True,
            "no_perf": True,
            "swa_full": True,
            "kv_unified": False,
        },
    ),
}
"""What llama.cpp's functions of this version return, field by field where that tells one from another."""

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (_LogCallback, c_void_p)),
    "llama_supports_gpu_offload": (c_bool, ()),
    "llama_model_load_from_file": (c_void_p, (c_char_p, ModelParams)),
    "llama_model_free": (None, (c_void_p,)),
    "llama_model_get_vocab": (c_void_p, (c_void_p,)),
    "llama_model_n_ctx_train": (c_int32, (c_void_p,)),
    "llama_model_n_embd": (c_int32, (c_void_p,)),
    "llama_model_n_layer": (c_int32, (c_void_p,)),
    "llama_model_n_params": (ctypes.c_uint64, (c_void_p,)),
    "llama_model_desc": (c_int32, (c_void_p, c_char_p, c_size_t)),
    "llama_model_has_encoder": (c_bool, (c_void_p,)),
    "llama_model_is_recurrent": (c_bool, (c_void_p,)),
    "llama_model_is_hybrid": (c_bool, (c_void_p,)),
    "llama_model_is_diffusion": (c_bool, (c_void_p,)),
    "llama_vocab_n_tokens": (c_int32, (c_void_p,)),
    "llama_init_from_model": (c_void_p, (c_void_p, ContextParams)),
    "llama_free": (None, (c_void_p,)),
    "llama_get_memory": (c_void_p, (c_void_p,)),
    "llama_n_ctx": (c_uint32, (c_void_p,)),
    "llama_memory_seq_rm": (c_bool, (c_void_p, c_int32, c_int32, c_int32)),
    "llama_memory_seq_cp": (None, (c_void_p, c_int32, c_int32, c_int32, c_int32)),
    "llama_state_get_size": (c_size_t, (c_void_p,)),
    "llama_state_get_data": (c_size_t, (c_void_p, c_void_p, c_size_t)),
    "llama_state_set_data": (c_size_t, (c_void_p, c_void_p, c_size_t)),
    "llama_decode": (c_int32, (c_void_p, LlamaBatch)),
    "llama_get_logits": (POINTER(c_float), (c_void_p,)),
    "ggml_get_name": (c_char_p, (c_void_p,)),
    "ggml_nbytes": (c_size_t, (c_void_p,)),
    "ggml_backend_tensor_get": (None, (c_void_p, c_void_p, c_size_t, c_size_t)),
}


class LlamaLibrary:
    """llama.cpp, with its complaints.

    Attributes:
        c: its functions.
    """

    def __init__(self, c: Any) -> None:
        self.c = c
        # Where it ends the process, it would first have a debugger say where: minutes in which nobody is
        # served and nobody starts it anew.
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")
        self._said: deque[str] = deque(maxlen=20)
        self._listener = _LogCallback(self._hear)
        c.llama_log_set(self._listener, None)
        c.llama_backend_init()

    def complaint(self) -> str:
        """The first thing that was wrong since the last time that this was asked."""
        said, self._said = self._said, deque(maxlen=20)
        return next(iter(said), "it does not say why")

    def _hear(self, level: int, text: bytes, _data: object) -> None:
        line = text.decode(errors="replace").strip()
        log.debug("%s", line)
        if level == _ERROR and line:
            self._said.append(line)


@cache
def llama_library() -> LlamaLibrary:
    """The library, loaded and checked once.

    Raises:
        ArtifactError: it is not there, of another version, or not what is known of this version.
    """
    c: Any = ctypes.CDLL(str(_find()))
    try:
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(c, name)
            function.restype, function.argtypes = result, arguments
        for name, (structure, _) in _DEFAULTS.items():
            getattr(c, name).restype = structure
    except AttributeError as error:
        raise ArtifactError(f"xllamacpp {VERSION} does not export {error} on this system") from error
    for name, (_, known) in _DEFAULTS.items():
        check_defaults(getattr(c, name), known)
    return LlamaLibrary(c)


def check_defaults(defaults: Callable[[], ctypes.Structure], known: dict[str, object]) -> None:
    """Compare what a function returns with what is known of it.

    Raises:
        ArtifactError: it is something else.
    """
    found = defaults()
    for name, value in known.items():
        if getattr(found, name) != value:
            raise ArtifactError(
                f"the library of xllamacpp is not that of {VERSION}: its {name} is {getattr(found, name)!r}, "
                f"not {value!r}; reinstall it with pip install 'demur[gguf]'"
            )


def _find() -> Path:
    try:
        found = version("xllamacpp")
    except PackageNotFoundError:
        found = None
    spec = find_spec("xllamacpp")
    if found is None or spec is None or spec.origin is None:
        raise ArtifactError(
            "serving a GGUF needs the package xllamacpp; install it with pip install 'demur[gguf]', or make "
            "a checkpoint folder of the file with demur convert"
        )
    if found != VERSION:
        raise ArtifactError(
            f"xllamacpp {found} is installed, but this needs {VERSION}; pip install 'demur[gguf]' takes it"
        )
    folder = Path(spec.origin).parent
    library = next(
        (path for pattern in ("*.so", "*.pyd") for path in folder.glob(f"xllamacpp{pattern}")), None
    )
    if library is None:
        raise ArtifactError(f"xllamacpp {VERSION} has no library in {folder}; reinstall it")
    return library
