"""Requests that are refused, cancelled, queued and stopped; streams read by threads and tasks."""

import asyncio
import threading
from typing import Any

import pytest
import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.engine.engine import Engine
from app.engine.loop import DecodingLoop
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest, StreamItem, TokenOut
from app.errors import (
    ContextLengthError,
    EngineStoppedError,
    OverloadedError,
    ParameterError,
    RequestError,
    StrategyError,
    UnknownNameError,
)
from tests.app.engine.tiny import (
    CONTEXT,
    VOCABULARY,
    TinyCheckpoint,
    ask,
    collect,
    tiny_engine,
    tiny_model,
)

# Requests that are refused


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"prompt": []}, ParameterError, "prompt"),
        ({"prompt": [1, len(VOCABULARY)]}, ParameterError, "prompt"),
        ({"prompt": [-1]}, ParameterError, "prompt"),
        ({"prompt": [1] * CONTEXT}, ContextLengthError, "prompt"),
        ({"prompt": [1] * (CONTEXT + 1), "max_tokens": 0}, ContextLengthError, "prompt"),
        ({"signals": ("entropy", "mood")}, UnknownNameError, "signals"),
        ({"top_logprobs": 21}, ParameterError, "top_logprobs"),
        ({"top_logprobs": -1}, ParameterError, "top_logprobs"),
        ({"n": 0}, ParameterError, "n"),
        ({"n": 129}, ParameterError, "n"),
        ({"seed": 2**64}, ParameterError, "seed"),
        ({"stop_token_ids": (len(VOCABULARY),)}, ParameterError, "stop_token_ids"),
        ({"sampling": SamplingParams(logit_bias={len(VOCABULARY): 1.0})}, ParameterError, "logit_bias"),
    ],
)
def test_a_bad_request_is_refused_before_it_starts(
    change: dict[str, Any], error: type[RequestError], param: str
) -> None:
    with tiny_engine() as engine:
        with pytest.raises(error) as caught:
            engine.submit(ask(**change))
        assert caught.value.param == param
        assert collect(engine.submit(ask())).error is None


def test_scoring_checks_its_input_too() -> None:
    with tiny_engine() as engine:
        for wrong in ([], [len(VOCABULARY)], [1] * (CONTEXT + 1)):
            with pytest.raises(RequestError):
                engine.score(wrong)
        with pytest.raises(UnknownNameError, match="mood"):
            engine.score([1, 2], ["mood"])
        assert engine.score([1]) == []


# Leaving, waiting, stopping


def test_cancelling_frees_every_row_at_once() -> None:
    with tiny_engine(max_rows=4) as engine:
        stream = engine.submit(ask(n=9, max_tokens=50))
        next(stream)
        stream.cancel()
        assert list(stream) == []
        # The next request needs all four rows.
        result = collect(engine.submit(ask(n=4, max_tokens=2)))
        stats = engine.stats()
    assert len(result.choices) == 4
    assert stats.requests_cancelled == 1
    assert (stats.rows_in_use, stats.active_requests, stats.waiting_requests) == (0, 0, 0)
    assert stats.drawn_tokens < 9 * 50


@torch.inference_mode()
def test_what_was_drawn_is_known_while_and_after_a_request_is_ended() -> None:
    loop = DecodingLoop(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=2))
    stream = Stream(lambda _: None)
    loop.submit(ask(n=2, max_tokens=50), stream)
    active = loop.under_way.of(stream)
    assert active is not None
    for _ in range(5):
        loop.tick()
    drawn = active.drawn_tokens
    assert drawn == loop.counters.drawn_tokens > 0
    loop.cancel(stream)
    assert stream.drawn_tokens == drawn
    assert active.drawn_tokens == drawn, "whoever found the request before it ended"


def test_cancelling_a_strategy_runs_its_cleanup() -> None:
    cleaned = threading.Event()

    class Tidy:
        needs: frozenset[str] = frozenset()

        async def decode(self, sequence: Sequence) -> Sequence:
            try:
                await gather(*(each.extend() for each in sequence.fork(3)))
            finally:
                cleaned.set()
            return sequence

    with tiny_engine(max_rows=2) as engine:
        stream = engine.submit(ask(strategy=Tidy(), max_tokens=50))
        stream.cancel()
        collect(engine.submit(ask(max_tokens=1)))
        assert engine.stats().active_requests == 0
        # Cancelled before it began, or while it ran: either way nothing is left of it.
        stream = engine.submit(Announced.request(cleaned))
        next(stream)
        stream.cancel()
        assert cleaned.wait(60)


class Announced:
    """Commits a token, so that the test knows it is running, then goes on for long."""

    needs: frozenset[str] = frozenset()

    def __init__(self, cleaned: threading.Event) -> None:
        self.cleaned = cleaned

    @classmethod
    def request(cls, cleaned: threading.Event) -> GenerationRequest:
        cleaned.clear()
        return ask(strategy=cls(cleaned), max_tokens=50)

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.next()
        sequence.commit()
        try:
            while True:
                (lookahead,) = sequence.fork()
                await lookahead.extend(max_tokens=5)
        finally:
            self.cleaned.set()


def test_a_full_queue_refuses_and_recovers() -> None:
    with tiny_engine(max_rows=1, max_waiting=2) as engine:
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        waiting = [engine.submit(ask(max_tokens=1)) for _ in range(2)]
        with pytest.raises(OverloadedError, match="2 requests are waiting, and no more than 2 may"):
            engine.submit(ask())
        assert engine.stats().waiting_requests == 2
        running.cancel()
        for stream in waiting:
            assert collect(stream).error is None
        assert collect(engine.submit(ask())).error is None
        assert engine.stats().requests_refused == 1


def test_stopping_ends_what_runs_and_refuses_what_comes() -> None:
    engine = tiny_engine(max_rows=1)
    with pytest.raises(EngineStoppedError):
        engine.submit(ask())
    engine.start()
    running = engine.submit(Announced.request(threading.Event()))
    waiting = engine.submit(ask())
    next(running)
    engine.stop()
    assert isinstance(collect(running).error, EngineStoppedError)
    assert isinstance(collect(waiting).error, EngineStoppedError)
    with pytest.raises(EngineStoppedError):
        engine.submit(ask())
    assert not engine.running


def test_streams_are_read_by_many_tasks_of_an_event_loop() -> None:
    async def read(engine: Engine, seed: int) -> list[int]:
        ids: list[int] = []
        async for item in engine.submit(ask(seed=seed, max_tokens=20)):
            if isinstance(item, TokenOut):
                ids.append(item.token.id)
        return ids

    async def main(engine: Engine) -> tuple[list[list[int]], int]:
        texts, scored = await asyncio.gather(
            asyncio.gather(*(read(engine, seed) for seed in range(12))), engine.score_all_async([[1, 2, 3]])
        )
        return texts, len(scored[0])

    with tiny_engine() as engine:
        texts, scored = asyncio.run(main(engine))
        alone = [collect(engine.submit(ask(seed=seed, max_tokens=20))).only.ids for seed in range(12)]
    assert texts == alone
    assert scored == 2


def test_cancelling_ends_the_wait_of_another_task_or_thread() -> None:
    async def main(engine: Engine) -> list[StreamItem]:
        stream = engine.submit(ask(strategy=Silent()))

        async def read() -> list[StreamItem]:
            return [item async for item in stream]

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)  # it waits now
        stream.cancel()
        return await asyncio.wait_for(reader, 60)

    with tiny_engine() as engine:
        assert asyncio.run(main(engine)) == []
        stream = engine.submit(ask(strategy=Silent()))
        read: list[StreamItem] = []
        reader = threading.Thread(target=lambda: read.extend(stream))
        reader.start()
        stream.cancel()
        reader.join(60)
        assert not reader.is_alive()
        assert read == []


class Silent:
    """Writes for ever and commits nothing."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        while True:
            (each,) = sequence.fork()
            await each.extend(max_tokens=3)


def test_a_strategy_that_fails_at_once_leaves_the_queue() -> None:
    class Broken:
        needs: frozenset[str] = frozenset()

        async def decode(self, sequence: Sequence) -> Sequence:
            raise RuntimeError(f"before the first token of {sequence.position}")

    with tiny_engine() as engine:
        for n in (1, 3):
            assert isinstance(collect(engine.submit(ask(strategy=Broken(), n=n))).error, StrategyError)
        assert collect(engine.submit(ask())).error is None
        assert engine.stats().waiting_requests == 0


def test_tokens_come_out_while_the_rest_is_still_being_written() -> None:
    with tiny_engine() as engine:
        stream = engine.submit(Announced.request(threading.Event()))
        first = next(stream)  # its strategy never ends
        assert isinstance(first, TokenOut)
        stream.cancel()


def test_collecting_gives_what_iterating_gives() -> None:
    async def together(engine: Engine) -> list[list[StreamItem]]:
        streams = [engine.submit(ask(seed=seed, n=2)) for seed in range(5)]
        return await asyncio.gather(*(stream.collect_async() for stream in streams))

    with tiny_engine() as engine:
        iterated = [list(engine.submit(ask(seed=seed, n=2))) for seed in range(5)]
        collected = [engine.submit(ask(seed=seed, n=2)).collect() for seed in range(5)]
        gathered = asyncio.run(together(engine))
        ended = engine.submit(ask(max_tokens=1))
        assert len(ended.collect()) == 3
        assert ended.collect() == list(ended) == asyncio.run(ended.collect_async()) == []
    for each in (collected, gathered):
        assert [texts(items) for items in each] == [texts(items) for items in iterated]


def texts(items: list[StreamItem]) -> dict[int, str]:
    return {index: answer.text for index, answer in collect(items).choices.items()}


def test_a_consumer_whose_event_loop_is_gone_harms_nobody() -> None:
    async def leave(engine: Engine) -> tuple[Stream, "asyncio.Task[StreamItem]"]:
        stream = engine.submit(ask(strategy=Silent()))
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it waits now
        return stream, reader

    with tiny_engine() as engine:
        stream, reader = asyncio.run(leave(engine))
        assert reader.cancelled()
        stream.cancel()
        assert collect(engine.submit(ask())).error is None
