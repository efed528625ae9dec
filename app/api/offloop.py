"""Work that would hold the event loop for long, done beside it.

Python runs one thread at a time and changes threads every 0.5 ms (`demur serve` asks for it), so that work in
a thread delays the loop by little, and less the fewer such threads there are. Hence one for reading requests
and one for writing answers, in which large ones take their turns: their memory is bounded too, and neither
waits for the other.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.errors import EngineStoppedError

T = TypeVar("T")

SMALL_BODY = 4096
"""Bytes of a request that is read on the loop, in about a millisecond."""

SMALL_ANSWER = 1000
"""Numbers and texts of an answer that is written on the loop, in a few milliseconds."""


class Worker:
    """A thread that does one thing after the other. It begins with the first."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"demur-{name}")
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, in the worker's thread.

        Raises:
            EngineStoppedError: the worker was closed before this began.
        """
        try:
            done = self._thread.submit(work)
        except RuntimeError:
            self._require_open()
            raise
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            if not _is_leaving():
                self._require_open()
            raise

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _require_open(self) -> None:
        if self._closed:
            raise EngineStoppedError("The server is stopping.") from None


def _is_leaving() -> bool:
    """Whether the waiting itself was cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class OffLoop:
    """The workers of a server."""

    def __init__(self) -> None:
        self._reading = Worker("read")
        self._writing = Worker("write")
        self._drawing = Worker("draw")

    async def read(self, body_bytes: int, work: Callable[[], T], *, slow: bool = False) -> T:
        """Do what has to be done with a request of this size before the engine sees it.

        slow: it may take long, however small the request is.
        """
        return work() if body_bytes <= SMALL_BODY and not slow else await self._reading.run(work)

    async def write(self, weight: int, work: Callable[[], T]) -> T:
        """Make an answer that holds so many numbers and texts, about."""
        return work() if weight <= SMALL_ANSWER else await self._writing.run(work)

    async def draw(self, work: Callable[[], T]) -> T:
        """Make what takes seconds: problems, and comparisons of them."""
        return await self._drawing.run(work)

    def close(self) -> None:
        """Begin nothing more."""
        for worker in (self._reading, self._writing, self._drawing):
            worker.close()
