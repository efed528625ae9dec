"""The engine's streams of one HTTP request: merged, collected, and stopped when the client goes away."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from app.api.metrics import Metrics
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import (
    ChoiceDone,
    Failed,
    GenerationRequest,
    LiveOut,
    PromptScored,
    RequestDone,
    StreamItem,
    TokenOut,
    Usage,
)

T = TypeVar("T")

Item = PromptScored | LiveOut | TokenOut | ChoiceDone | RequestDone


@dataclass(frozen=True)
class FinishedChoice:
    """A finished choice: number `index` of prompt number `prompt`."""

    prompt: int
    index: int
    text: str
    done: ChoiceDone


@dataclass(frozen=True)
class Collected:
    """Everything that the streams of one request brought."""

    choices: deque[FinishedChoice]
    scored: dict[int, PromptScored]
    usage: Usage


class Generation:
    """The streams of one HTTP request, one per prompt."""

    def __init__(self, streams: Sequence[Stream], metrics: Metrics) -> None:
        self._streams = streams
        self._metrics = metrics
        self._started = time.perf_counter()
        self._first_token_seen = False

    @classmethod
    def submit(cls, engine: Engine, requests: Sequence[GenerationRequest], metrics: Metrics) -> "Generation":
        """Hand all requests to the engine, or none.

        Raises:
            RequestError, OverloadedError, EngineStoppedError: the engine refuses one of them.
        """
        return cls(engine.submit_all(requests), metrics)

    def cancel(self) -> None:
        """Free every row; nothing happens to streams that have ended."""
        for stream in self._streams:
            stream.cancel()

    async def batches(self) -> AsyncIterator[tuple[int, list[Item]]]:
        """What the streams bring, all that is there at a time: the number of a prompt, and its next items.

        Raises:
            Exception: what the engine failed with.
        """
        several = len(self._streams) > 1
        async for prompt, items in _merged(self._streams) if several else _one(self._streams[0]):
            self._note_first_token(items)
            if delivered := [item for item in items if not isinstance(item, Failed)]:
                yield prompt, delivered
            _raise_failure(items)

    async def collect(self) -> Collected:
        """Wait for the end of every stream; choices come in the order of prompts, then of choices."""
        texts: dict[tuple[int, int], list[str]] = {}
        choices: list[FinishedChoice] = []
        scored: dict[int, PromptScored] = {}
        usages: list[Usage] = []
        everything = await asyncio.gather(*map(self._everything, self._streams))
        for prompt, item in ((prompt, item) for prompt, items in enumerate(everything) for item in items):
            match item:
                case TokenOut():
                    texts.setdefault((prompt, item.index), []).append(item.text)
                case ChoiceDone():
                    text = "".join([*texts.pop((prompt, item.index), []), item.text])
                    choices.append(FinishedChoice(prompt, item.index, text, item))
                case PromptScored():
                    scored[prompt] = item
                case RequestDone():
                    usages.append(item.usage)
                case LiveOut() | Failed():
                    pass  # only streams ask for the one, and the other was raised
        choices.sort(key=lambda choice: (choice.prompt, choice.index))
        return Collected(deque(choices), scored, total(usages))

    async def _everything(self, stream: Stream) -> list[StreamItem]:
        """All items of a stream. After the first token nobody is woken before the end."""
        items: list[StreamItem] = []
        while not self._first_token_seen and (batch := await stream.arrived()):
            self._note_first_token(batch)
            items += batch
        items += await stream.collect_async()
        _raise_failure(items)
        return items

    def _note_first_token(self, items: Sequence[StreamItem]) -> None:
        if not self._first_token_seen and any(isinstance(item, TokenOut) for item in items):
            self._metrics.observe_first_token(time.perf_counter() - self._started)
            self._first_token_seen = True


def _raise_failure(items: Sequence[StreamItem]) -> None:
    """A stream ends with it."""
    if items and isinstance(last := items[-1], Failed):
        raise last.error


def total(usages: Sequence[Usage]) -> Usage:
    """The sum of usages."""
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        discarded_tokens=sum(usage.discarded_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
    )


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client closes the connection first.

    Raises:
        ClientDisconnect: it did.
    """
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _one(stream: Stream) -> AsyncIterator[tuple[int, list[StreamItem]]]:
    while items := await stream.arrived():
        yield 0, items


async def _merged(streams: Sequence[Stream]) -> AsyncIterator[tuple[int, list[StreamItem]]]:
    arrived: asyncio.Queue[tuple[int, list[StreamItem]]] = asyncio.Queue()

    async def forward(number: int, stream: Stream) -> None:
        while items := await stream.arrived():
            arrived.put_nowait((number, items))
        arrived.put_nowait((number, []))

    tasks = [asyncio.create_task(forward(number, stream)) for number, stream in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            number, items = await arrived.get()
            if items:
                yield number, items
            else:
                running -= 1
    finally:
        for task in tasks:
            task.cancel()
