"""Whatever raises, the engine goes on or ends everybody with an error: nobody waits for ever."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import pytest

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.engine.engine import Engine
from app.engine.loop import DecodingLoop
from app.engine.stream import Stream
from app.errors import DemurError, EngineStoppedError, StrategyError
from tests.app.engine.tiny import Result, ask, collect, tiny_engine

PATIENCE = 30


def ended(stream: Stream) -> Result:
    """The whole stream, which has to come to its end."""
    results: list[Result] = []
    reader = threading.Thread(target=lambda: results.append(collect(stream)), daemon=True)
    reader.start()
    reader.join(PATIENCE)
    assert results, "the stream has no end"
    return results[0]


def failure(result: "Future[Any]") -> BaseException | None:
    """What a score ended with, which it has to do."""
    try:
        return result.exception(PATIENCE)
    except CancelledError as cancelled:
        return cancelled


@pytest.mark.parametrize("cancelled", ["first", "last", "all"])
def test_stopping_ends_generations_and_scores_of_which_some_were_cancelled(cancelled: str) -> None:
    engine = tiny_engine(max_rows=2)
    engine.start()
    streams = [engine.submit(ask(n=8, max_tokens=50)) for _ in range(3)]
    next(streams[0])
    scores = [engine.submit_scores([list(range(1, 60))])[0] for _ in range(60)]
    for score in {"first": scores[:1], "last": scores[-1:], "all": scores}[cancelled]:
        score.cancel()
    engine.stop()
    for stream in streams:
        assert isinstance(ended(stream).error, EngineStoppedError)
    for score in scores:
        assert isinstance(failure(score), EngineStoppedError | CancelledError | None)
    assert any(isinstance(failure(score), EngineStoppedError) for score in scores) != (cancelled == "all")


class Exits:
    """A strategy that raises what is no `Exception`, at once, later, in a branch or while it is stopped."""

    needs: frozenset[str] = frozenset()

    def __init__(self, where: str, error: type[BaseException]) -> None:
        self.where = where
        self.error = error

    async def decode(self, sequence: Sequence) -> Sequence:
        if self.where == "at once":
            raise self.error
        if self.where == "in a branch":
            await gather(*(self._branch(each) for each in sequence.fork(3)))
        try:
            await sequence.extend(max_tokens=3)
            if self.where == "later":
                raise self.error
            await sequence.extend()
        finally:
            if self.where == "stopped":
                raise self.error
        return sequence

    async def _branch(self, branch: Sequence) -> None:
        await branch.next()
        raise self.error


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("where", ["at once", "later", "in a branch"])
def test_a_strategy_that_exits_ends_its_own_request_only(where: str, error: type[BaseException]) -> None:
    with tiny_engine(max_rows=4) as engine:
        good = engine.submit(ask(max_tokens=20))
        bad = engine.submit(ask(strategy=Exits(where, error), n=2, max_tokens=20))
        assert isinstance(ended(bad).error, StrategyError)
        assert ended(good).error is None
        assert engine.running


def test_a_strategy_that_raises_while_it_is_stopped_is_gone_all_the_same() -> None:
    with tiny_engine(max_rows=2) as engine:
        stream = engine.submit(ask(strategy=Exits("stopped", SystemExit), max_tokens=50))
        stream.cancel()
        assert ended(engine.submit(ask(max_tokens=2))).error is None
        assert engine.stats().active_requests == 0


@dataclass
class Unspeakable(Exception):
    """An error that cannot say what it means."""

    def __str__(self) -> str:
        raise RuntimeError("speechless")


@pytest.mark.parametrize("error", [Unspeakable, MemoryError])
def test_an_error_that_cannot_be_worded_is_still_an_end(error: type[Exception]) -> None:
    with tiny_engine() as engine:
        stream = engine.submit(ask(strategy=Exits("later", error), max_tokens=20))
        assert error.__name__ in str(ended(stream).error)
        assert ended(engine.submit(ask())).error is None


def inside(engine: Engine) -> DecodingLoop:
    """What the engine keeps to itself."""
    return engine._loop  # pyright: ignore[reportPrivateUsage]


def break_tick(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine), "tick", error)


def break_flush(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine).under_way, "flush", error)


def break_fail_all(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine), "tick", error)
    raise_it(inside(engine), "fail_all", error)


def break_end(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine).slots, "release", error)


def break_taking(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine), "submit", error)


def break_scores(engine: Engine, error: BaseException) -> None:
    raise_it(inside(engine), "score", error)


def raise_it(owner: object, name: str, error: BaseException) -> None:
    """From now on, calling this raises."""

    def broken(*_: object, **__: object) -> None:
        raise error

    setattr(owner, name, broken)


@pytest.mark.parametrize("error", [KeyError("gone"), SystemExit(3)], ids=["an error", "an exit"])
@pytest.mark.parametrize(
    "breaking", [break_tick, break_flush, break_fail_all, break_end, break_taking, break_scores]
)
def test_a_fault_of_the_engine_ends_everybody_with_an_error(
    breaking: Callable[[Engine, BaseException], None], error: BaseException
) -> None:
    engine = tiny_engine(max_rows=2)
    engine.start()
    streams = [engine.submit(ask(n=20, max_tokens=50)) for _ in range(3)]
    next(streams[0])
    scores = engine.submit_scores([list(range(1, 60))] * 50)
    breaking(engine, error)
    try:
        streams.append(engine.submit(ask(max_tokens=3)))
        scores += engine.submit_scores([[1, 2, 3]])
    except EngineStoppedError:
        pass  # it has ended, and says so
    assert failure(scores[-1]) is None or isinstance(failure(scores[-1]), DemurError)
    engine.stop()
    for stream in streams:
        result = ended(stream)
        assert result.error is None or isinstance(result.error, DemurError)
        assert result.error is not None or result.usage is not None
    for score in scores:
        assert failure(score) is None or isinstance(failure(score), DemurError)
    assert not engine.running
    with pytest.raises(EngineStoppedError):
        engine.submit(ask())


def test_submitting_while_the_engine_stops_is_refused_or_comes_to_an_end() -> None:
    for _ in range(5):
        engine = tiny_engine(max_rows=2)
        engine.start()
        streams: list[Stream] = []
        scores: list[Future[Any]] = []

        def submit(engine: Engine, streams: list[Stream], scores: "list[Future[Any]]") -> None:
            try:
                while True:
                    streams.append(engine.submit(ask(max_tokens=2, background=len(streams) % 2 == 1)))
                    scores.extend(engine.submit_scores([[1, 2]]))
                    streams[-1].cancel()
            except (EngineStoppedError, DemurError):
                pass

        threads = [threading.Thread(target=submit, args=(engine, streams, scores)) for _ in range(3)]
        for thread in threads:
            thread.start()
        engine.stop()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for stream in streams:
            ended(stream)
        for score in scores:
            failure(score)


def test_a_consumer_whose_event_loop_is_closed_hurts_nobody() -> None:
    async def leave(engine: Engine) -> None:
        stream = engine.submit(ask(n=4, max_tokens=50))
        left.append(asyncio.ensure_future(engine.score_all_async([list(range(1, 60))])))
        left.append(asyncio.ensure_future(stream.collect_async()))
        await asyncio.sleep(0)

    left: list[asyncio.Future[Any]] = []

    with tiny_engine(max_rows=2) as engine:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave(engine))
        loop.close()
        assert ended(engine.submit(ask(max_tokens=4))).error is None


def test_a_request_that_cannot_be_taken_fails_alone() -> None:
    with tiny_engine() as engine:
        good = engine.submit(ask(max_tokens=40))
        while not engine.stats().active_requests:
            pass
        original = inside(engine).submit
        raise_it(inside(engine), "submit", KeyError("cannot"))
        bad = engine.submit(ask(sampling=SamplingParams(top_k=3)))
        assert "cannot" in str(ended(bad).error)
        inside(engine).submit = original
        assert ended(good).error is None
        assert ended(engine.submit(ask())).error is None
        assert engine.stats().waiting_requests == 0
