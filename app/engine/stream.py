"""The consumer's end of a request: what the engine's thread delivers, another thread or task reads."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from app.engine.types import Failed, RequestDone, StreamItem

Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Stream:
    """Items of one request, in order; ends after `RequestDone` or `Failed`, or when cancelled.

    For one consumer, either `for item in stream` or `async for item in stream`.

    Attributes:
        drawn_tokens: computed for the request, whatever became of them; known once it is over.
    """

    def __init__(self, on_cancel: "Callable[[Stream], None]") -> None:
        self._on_cancel = on_cancel
        self._items: deque[StreamItem] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._sleeping = False
        self._collecting = False
        self._waiter: Waiter | None = None
        self._ended = False
        self.drawn_tokens = 0

    @property
    def held(self) -> int:
        """Items that were delivered and not read."""
        return len(self._items)

    @property
    def collecting(self) -> bool:
        """Whoever reads it waits for the whole."""
        return self._collecting

    @property
    def ended(self) -> bool:
        """Nothing more will be delivered."""
        return self._ended

    def cancel(self) -> None:
        """Stop the request; its rows are free within one tick. Harmless when it has ended."""
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self._items.clear()
            self._changed.notify_all()
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            wake([waiter])
        self._on_cancel(self)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> StreamItem:
        with self._changed:
            while not self._items:
                if self._ended:
                    raise StopIteration
                self._sleeping = True
                self._changed.wait()
            return self._items.popleft()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> StreamItem:
        while True:
            with self._changed:
                if self._items:
                    return self._items.popleft()
                if self._ended:
                    raise StopAsyncIteration
                future = self._wait()
            await future

    async def arrived(self) -> list[StreamItem]:
        """All items that are there, as soon as there is one; none once the request is over."""
        while True:
            with self._changed:
                if self._items or self._ended:
                    return self._drain()
                future = self._wait()
            await future

    def collect(self) -> list[StreamItem]:
        """All items that are left, once the request is over.

        Cheaper than iterating: nobody is woken for every token.
        """
        with self._changed:
            self._collecting = True
            while not self._ended:
                self._sleeping = True
                self._changed.wait()
            return self._drain()

    async def collect_async(self) -> list[StreamItem]:
        """`collect` for an event loop."""
        with self._changed:
            self._collecting = True
            if self._ended:
                return self._drain()
            future = self._wait()
        await future
        with self._changed:
            return self._drain()

    def deliver(self, items: Sequence[StreamItem]) -> Waiter | None:
        """Add items, in the engine's thread. Returns the task to wake, if one is waiting.

        What a slow consumer leaves here grows no larger than the whole answer: as much as a consumer that
        collects it has to hold anyway. So the engine need not wait for anybody.
        """
        with self._changed:
            if self._ended or not items:
                return None
            self._items.extend(items)
            self._ended = isinstance(items[-1], RequestDone | Failed)
            if self._collecting and not self._ended:
                return None
            if self._sleeping:
                self._sleeping = False
                self._changed.notify_all()
            waiter, self._waiter = self._waiter, None
            return waiter

    def fail(self, error: Exception) -> None:
        """End it with an error, unless it has ended; from any thread."""
        waiter = self.deliver([Failed(error)])
        if waiter is not None:
            wake([waiter])

    def _wait(self) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiter = (loop, future)
        return future

    def _drain(self) -> list[StreamItem]:
        items = list(self._items)
        self._items.clear()
        return items


def wake(waiters: Iterable[Waiter]) -> None:
    """Wake waiting tasks, with one call into each of their event loops."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for loop, future in waiters:
        by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        # Raised when a consumer's loop was closed under it: then nobody is left to wake, and the
        # other consumers must not suffer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, futures)


def _resolve(futures: Sequence["asyncio.Future[None]"]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
