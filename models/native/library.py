"""The compiled library, and the structures that it shares with Python (source/interface.h)."""

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_void_p
from functools import cache

from models.errors import SpecError
from models.native.build import library_path


class Shape(ctypes.Structure):
    """`demur_shape`."""

    _fields_ = (
        ("vocabulary", c_int32),
        ("context", c_int32),
        ("width", c_int32),
        ("layers", c_int32),
        ("heads", c_int32),
        ("threads", c_int32),
        ("bytes", c_int32),
    )


class Pass(ctypes.Structure):
    """`demur_pass`: addresses of arrays, whose owners have to live as long."""

    _fields_ = (
        ("count", c_int32),
        ("slots_held", c_int32),
        ("length", c_int32),
        ("tokens", c_void_p),
        ("slots", c_void_p),
        ("positions", c_void_p),
        ("wanted", c_void_p),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("logits", c_void_p),
        ("signals", c_void_p),
        ("hidden", c_void_p),
        ("hidden_stride", c_int64),
    )


class Writing(ctypes.Structure):
    """`demur_writing`: the same."""

    _fields_ = (
        ("rows", c_int32),
        ("steps", c_int32),
        ("slots_held", c_int32),
        ("length", c_int32),
        ("stops_each", c_int32),
        ("tokens", c_void_p),
        ("slots", c_void_p),
        ("positions", c_void_p),
        ("most", c_void_p),
        ("uniforms", c_void_p),
        ("temperatures", c_void_p),
        ("stops", c_void_p),
        ("halt", c_void_p),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("row", c_void_p),
        ("id", c_void_p),
        ("log_prob", c_void_p),
        ("signals", c_void_p),
        ("hidden", c_void_p),
        ("hidden_stride", c_int64),
        ("probes", c_void_p),
        ("text_steps", c_void_p),
        ("states", c_void_p),
        ("scores", c_void_p),
    )


class PackedProbe(ctypes.Structure):
    """`demur_probe`: the same, but that it is needed no longer than it takes to pack it."""

    _fields_ = (
        ("at", c_int32),
        ("read", c_int32),
        ("pooled", c_int32),
        ("units", c_int32),
        ("closing_count", c_int32),
        ("marker_count", c_int32),
        ("layer_count", c_int32),
        ("token_count", c_int32),
        ("knot_count", c_int32),
        ("closing", c_void_p),
        ("markers", c_void_p),
        ("layers", c_void_p),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("signal_weight", c_void_p),
        ("out_weight", c_void_p),
        ("tokens", c_void_p),
        ("knots", c_void_p),
        ("values", c_void_p),
        ("out_bias", c_double),
        ("slope", c_double),
        ("intercept", c_double),
    )


class TextStep(ctypes.Structure):
    """`demur_step`: addresses of arrays, whose owners have to live as long."""

    _fields_ = (
        ("count", c_int32),
        ("number", c_int32),
        ("tokens", c_void_p),
        ("signals", c_void_p),
        ("states", c_void_p),
        ("wanted", c_void_p),
    )


@cache
def load_library() -> ctypes.CDLL:
    """The library; a call of it holds no lock of Python's.

    Raises:
        SpecError: it was not compiled here, or cannot be loaded.
    """
    path = library_path()
    if not path.exists():
        raise SpecError(
            "the native step was not compiled when demur was installed, which takes a C++ compiler; with "
            "one, run `python -m models.native.build`"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise SpecError(f"the native step cannot be loaded: {error}") from error
    library.demur_new.restype = c_void_p
    library.demur_new.argtypes = (POINTER(Shape), POINTER(c_void_p))
    library.demur_delete.restype = None
    library.demur_delete.argtypes = (c_void_p,)
    library.demur_run.restype = c_int32
    library.demur_run.argtypes = (c_void_p, POINTER(Pass))
    library.demur_write.restype = c_int32
    library.demur_write.argtypes = (c_void_p, POINTER(Writing), POINTER(c_int32))
    library.demur_draw.restype = c_int32
    library.demur_draw.argtypes = (c_void_p, c_int32, c_int32, c_void_p, c_void_p)
    library.demur_probes_new.restype = c_void_p
    library.demur_probes_new.argtypes = (c_void_p, c_void_p, c_int32, c_int32)
    library.demur_probes_delete.restype = None
    library.demur_probes_delete.argtypes = (c_void_p,)
    library.demur_kernels.restype = c_char_p
    library.demur_kernels.argtypes = ()
    return library
