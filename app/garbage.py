"""When Python looks for garbage among all objects: while nobody waits for an answer.

Nothing else runs meanwhile. It took 0.36 s with the third of a million objects that are there once a model is
loaded, and up to a second with those of a large answer, in the middle of it.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

_NEVER = 1_000_000_000

LOOK_SECONDS = 1.0
"""Between two looks how much there is, and whether anybody waits."""

QUIET_SECONDS = 1.0
"""So long nobody has waited before it is done. The objects of the last answer, half a million perhaps, are
gone by then, and need not be looked at."""

LATEST_SECONDS = 60.0
"""A server that is never idle pays for a collection after so long: what is in cycles would pile up."""

FEW_BLOCKS = 50_000
"""Of memory, besides what stays: they are looked through in some 10 ms, which nobody notices."""

MANY_BLOCKS = 500_000
"""Of these somebody's large answer may be a part, and a collection takes long."""


@contextmanager
def collected_when_told() -> Generator[None]:
    """Set aside what is there, and have young objects looked through only. Afterwards all is as it was."""
    before = gc.get_threshold()
    _set_aside()
    gc.set_threshold(before[0], before[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def collect_when_idle(
    idle_seconds: Callable[[], float],
    every: float = LOOK_SECONDS,
    quiet: float = QUIET_SECONDS,
    latest: float = LATEST_SECONDS,
    few: int = FEW_BLOCKS,
    many: int = MANY_BLOCKS,
    clock: Callable[[], float] = monotonic,
) -> None:
    """Collect all garbage whenever it takes no time or nobody has waited for a while, for ever.

    Args:
        idle_seconds: how long nobody has waited for an answer; 0 while somebody does.
        every: seconds between two looks.
        quiet: seconds for which nobody may have waited.
        latest: seconds after which it is done beside somebody's answer, if that is not a large one, and after
            ten times as many whatever there is.
        few: blocks of memory, besides those that stay, up to which it is done beside any answer.
        many: the same from which on an answer counts as large.
        clock: what time it is, in seconds.
    """
    last, at_first = clock(), sys.getallocatedblocks()
    while True:
        await asyncio.sleep(every)
        overdue = (clock() - last) / latest
        more = sys.getallocatedblocks() - at_first
        nobody_minds = idle_seconds() >= quiet or overdue >= 10
        if nobody_minds or more < few or (overdue >= 1 and more < many):
            gc.collect()
            if nobody_minds and sys.getallocatedblocks() - at_first >= 5 * few:
                _set_aside()
                at_first = sys.getallocatedblocks()
            last = clock()


def _set_aside() -> None:
    """Set aside what is there and stays: later also libraries that a comparison needs. What was in use the
    last time and is garbage by now goes."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
