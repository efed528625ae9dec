"""The compiled library, and the structures that it shares with Python (source/interface.h)."""

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_void_p
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
        ("reads", c_void_p),
        ("read", c_void_p),
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
    library.demur_reads_new.restype = c_void_p
    library.demur_reads_new.argtypes = (c_void_p, c_void_p, c_int32, c_int32, c_void_p, c_void_p)
    library.demur_reads_delete.restype = None
    library.demur_reads_delete.argtypes = (c_void_p,)
    library.demur_run.restype = c_int32
    library.demur_run.argtypes = (c_void_p, POINTER(Pass))
    library.demur_kernels.restype = c_char_p
    library.demur_kernels.argtypes = ()
    return library
