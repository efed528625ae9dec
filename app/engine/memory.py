"""Forward passes that there is no memory for."""

from collections.abc import Callable
from typing import TypeVar

import torch

from app.engine.failures import worded
from models.errors import CapacityError

_T = TypeVar("_T")


def with_memory(run: Callable[[], _T], make_room: Callable[[], bool]) -> _T:
    """What a pass finds. If there is no memory for it, it is tried once more with what `make_room` can do
    without, which says whether there was anything.

    Raises:
        Exception: what the pass raises.
    """
    try:
        return run()
    except Exception as error:
        if not (tells_of_memory(error) and make_room()):
            raise
    return run()


def tells_of_memory(error: Exception) -> bool:
    """Whether a pass failed since there was no memory for it. torch says of a CPU's in words alone."""
    if isinstance(error, (MemoryError, CapacityError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "memory" in worded(error)
