"""The engine's streams of one HTTP request: merged, collected, and stopped when the client goes away."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from app.api.metrics import Metrics
from app.api.request_record import RequestRecord, Rewind
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

    def __init__(
        self, engine: Engine, streams: Sequence[Stream], metrics: Metrics, record: RequestRecord
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._metrics = metrics
        self._record = record
        self._started = time.perf_counter()
        self._latest: dict[tuple[int, int], float] = {}  # by prompt and choice: when its last token came
        self._gaps: list[float] = []  # between tokens of a choice
        self._tokens = Counter[int]()  # by prompt: sent so far, or all of its completions
        self._running = set(range(len(streams)))
        self._closed = False

    @classmethod
    def submit(
        cls,
        engine: Engine,
        requests: Sequence[GenerationRequest],
        metrics: Metrics,
        record: RequestRecord | None = None,
    ) -> "Generation":
        """Hand all requests to the engine, or none. record: where to note what becomes of them.

        Raises:
            RequestError, OverloadedError, EngineStoppedError: the engine refuses one of them.
        """
        record = record or RequestRecord("")
        generation = cls(engine, engine.submit_all(requests), metrics, record)
        record.prompt_tokens = sum(len(request.prompt_ids) for request in requests)
        return generation

    def close(self) -> None:
        """Free every row, which does nothing to streams that have ended, and count what there was.

        What was drawn and will not be sent, as the generation was broken off, is discarded.
        """
        for stream in self._streams:
            stream.cancel()
        if not self._closed:
            self._closed = True
            self._record.kept_tokens = self._tokens.total()
            for prompt in self._running:
                drawn = self._engine.drawn_tokens(self._streams[prompt])
                self._record.discarded_tokens += max(0, drawn - self._tokens[prompt])
            seconds = None if self._running else time.perf_counter() - self._started
            self._metrics.generations.request_ended(self._record.model, self._gaps, seconds)

    async def batches(self) -> AsyncIterator[tuple[int, list[Item]]]:
        """What the streams bring, all that is there at a time: the number of a prompt, and its next items.

        Raises:
            Exception: what the engine failed with.
        """
        several = len(self._streams) > 1
        async for prompt, items in _merged(self._streams) if several else _one(self._streams[0]):
            self._note(prompt, items)
            if delivered := [item for item in items if not isinstance(item, Failed)]:
                yield prompt, delivered
            _raise_failure(items)

    def _note(self, prompt: int, items: Sequence[StreamItem]) -> None:
        """Note what came together. This runs for every token, so it calls nothing for it."""
        now, latest = time.perf_counter(), self._latest
        for item in items:
            if isinstance(item, TokenOut):
                place = prompt, item.index
                if place in latest:
                    self._gaps.append(now - latest[place])
                elif not latest:
                    self._note_first_token(items)
                latest[place] = now
                self._tokens[prompt] += 1
            else:
                self._note_end(prompt, item)

    def _note_end(self, prompt: int, item: StreamItem) -> None:
        """Note what became of a choice or of a prompt, if it is the end of one."""
        if isinstance(item, ChoiceDone):
            self._choice_ended(item)
        elif isinstance(item, RequestDone):
            self._running.discard(prompt)
            self._tokens[prompt] = item.usage.completion_tokens
            self._record.discarded_tokens += item.usage.discarded_tokens

    def _choice_ended(self, done: ChoiceDone) -> None:
        record = self._record
        record.reasons[done.finish_reason] += 1
        rewinds = [
            Rewind(event.rule, event.position, discarded, time.time_ns())
            for event in done.events
            if isinstance(discarded := event.detail.get("discarded"), int)
        ]
        record.rewinds += rewinds
        generations = self._metrics.generations
        generations.text_ended(record.model, done.finish_reason, done.tokens, len(rewinds))

    async def collect(self) -> Collected:
        """Wait for the end of every stream; choices come in the order of prompts, then of choices."""
        texts: dict[tuple[int, int], list[str]] = {}
        choices: list[FinishedChoice] = []
        scored: dict[int, PromptScored] = {}
        usages: list[Usage] = []
        everything = await asyncio.gather(*(self._everything(*each) for each in enumerate(self._streams)))
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

    async def _everything(self, prompt: int, stream: Stream) -> list[StreamItem]:
        """All items of a prompt's stream. After the first token nobody is woken before the end."""
        items: list[StreamItem] = []
        while self._record.first_token_seconds is None and (batch := await stream.arrived()):
            self._note_first_token(batch)
            items += batch
        items += await stream.collect_async()
        self._tokens[prompt] = sum(isinstance(item, TokenOut) for item in items)
        for item in items:
            if not isinstance(item, TokenOut):
                self._note_end(prompt, item)
        _raise_failure(items)
        return items

    def _note_first_token(self, items: Sequence[StreamItem]) -> None:
        unseen = self._record.first_token_seconds is None
        if unseen and any(isinstance(item, TokenOut) for item in items):
            seconds = self._record.first_token_seconds = time.perf_counter() - self._started
            self._metrics.observe_first_token(seconds)


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
