"""Memory that was freed, given back to the machine.

The C library keeps what lies between blocks in use. Of tensors that grow again and again, that may be half as
much as the last of them take."""

import ctypes
import sys


def give_back_freed() -> None:
    """Have the C library give back what it keeps, where it offers a way. Takes milliseconds."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
