"""Requests in the background say what they would say alone, give way to live ones, and come to their end."""

import threading
from dataclasses import replace

import pytest

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.errors import OverloadedError
from tests.app.engine.test_batching import request, same
from tests.app.engine.test_engine import Announced
from tests.app.engine.tiny import Wanderer, ask, collect, tiny_engine


class Waves:
    """Branches that wait for each other at every token, so that most of them are idle most of the time."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        branches = sequence.fork(5)
        for index in range(8):
            await gather(*(branch.next() for branch in branches[: 1 + index % 5]))
        return branches[0]


@pytest.mark.parametrize("max_rows", [1, 3, 12])
def test_texts_are_the_same_in_front_and_behind_in_any_mixture(max_rows: int) -> None:
    kinds = ("sample", "wanderer", "greedy")
    requests = [request(index, kinds[index % 3], seed=index) for index in range(24)]
    requests += [ask([7, index], Waves(), seed=index) for index in range(4)]
    with tiny_engine(max_rows=max_rows) as engine:
        alone = [collect(engine.submit(each)) for each in requests]
        streams = [
            engine.submit(replace(each, background=index % 4 != 0)) for index, each in enumerate(requests)
        ]
        mixed = [collect(stream) for stream in streams]
        stats = engine.stats()
    for left, right in zip(alone, mixed, strict=True):
        same(left, right)
    assert (stats.rows_in_use, stats.active_requests) == (0, 0)


@pytest.mark.parametrize("n", [1, 4])
def test_a_live_request_gets_rows_although_the_background_holds_them_all(n: int) -> None:
    with tiny_engine(max_rows=4) as engine:
        # Would take thousands of passes.
        comparison = engine.submit(ask(n=128, max_tokens=50, background=True))
        next(comparison)
        assert engine.stats().rows_in_use == 4
        before = engine.stats().forward_passes
        live = collect(engine.submit(ask([2, 7, 1], n=n, max_tokens=20, seed=5)))
        passes = engine.stats().forward_passes - before
        assert engine.stats().active_requests == 1
        comparison.cancel()
        alone = collect(engine.submit(ask([2, 7, 1], n=n, max_tokens=20, seed=5)))
    same(live, alone)
    # Its own, at one row or at four, and few besides.
    assert passes < 2 * 20


@pytest.mark.parametrize("max_rows", [1, 2])
@pytest.mark.parametrize("strategy", [Wanderer(), Waves()])
def test_the_background_ends_although_live_requests_hold_every_row(
    max_rows: int, strategy: Wanderer | Waves
) -> None:
    behind = ask([9, 9, 8], strategy, background=True)
    with tiny_engine(max_rows=max_rows) as engine:
        alone = collect(engine.submit(behind))
        live = engine.submit(ask(n=128, max_tokens=50))
        next(live)
        assert engine.stats().rows_in_use == max_rows
        answer = collect(engine.submit(behind))
        assert engine.stats().active_requests == 1
        live.cancel()
    same(answer, alone)


def test_the_background_is_never_refused_and_never_has_a_live_request_refused() -> None:
    with tiny_engine(max_rows=1, max_waiting=1) as engine:
        behind = [engine.submit(ask(max_tokens=50, background=True, seed=seed)) for seed in range(20)]
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        waiting = engine.submit(ask())
        with pytest.raises(OverloadedError, match="1 requests are waiting"):
            engine.submit(ask())
        behind.append(engine.submit(ask(background=True)))
        assert engine.stats().waiting_requests == 1
        running.cancel()
        for stream in (waiting, *behind):
            assert collect(stream).error is None


def test_a_background_request_that_is_cancelled_leaves_nothing_behind() -> None:
    with tiny_engine(max_rows=2) as engine:
        streams = [engine.submit(ask(n=3, max_tokens=50, background=True)) for _ in range(5)]
        next(streams[0])
        for stream in streams:
            stream.cancel()
        assert collect(engine.submit(ask(n=2, max_tokens=2, background=True))).error is None
        stats = engine.stats()
    assert (stats.rows_in_use, stats.active_requests, stats.requests_cancelled) == (0, 0, 5)
