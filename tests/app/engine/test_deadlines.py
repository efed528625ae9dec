"""No request waits or runs for ever, and what is refused is told when to come again."""

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

import pytest

from app.engine.queue import LONGEST_RETRY_SECONDS, Queue
from app.errors import DeadlineError, OverloadedError
from models.decoder import Decoder
from models.language_model import StepOutput
from tests.app.engine.test_engine import Announced, Silent
from tests.app.engine.tiny import END, ask, collect, tiny_engine, tiny_network


def test_a_request_that_takes_too_long_ends_and_frees_its_rows() -> None:
    with tiny_engine(max_rows=2) as engine:
        late = engine.submit(ask(strategy=Silent(), n=5, timeout=0.3))
        began = time.monotonic()
        result = collect(late)
        assert isinstance(result.error, DeadlineError)
        assert "0.3 s" in str(result.error)
        assert 0.25 < time.monotonic() - began < 10
        assert collect(engine.submit(ask(n=2, max_tokens=2, timeout=60))).error is None
        stats = engine.stats()
    assert (stats.requests_timed_out, stats.requests_failed, stats.rows_in_use) == (1, 1, 0)


def test_a_deadline_holds_for_every_prompt_of_a_request_and_for_who_waits() -> None:
    with tiny_engine(max_rows=1) as engine:
        running = engine.submit(ask(strategy=Silent()))
        waiting = engine.submit_all([ask(timeout=0.2), ask(n=3, timeout=0.2)])
        scores = engine.submit_scores([[1, 2, 3]] * 4000, timeout=0.001)
        for stream in waiting:
            assert isinstance(collect(stream).error, DeadlineError)
        assert isinstance(scores[-1].exception(30), DeadlineError)
        running.cancel()
        assert engine.stats().requests_timed_out == 2
        assert engine.stats().waiting_requests == 0


def test_whoever_cannot_begin_in_time_is_refused_with_when_to_try_again() -> None:
    with tiny_engine(max_rows=1, max_queue_seconds=0.2) as engine:
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        error = collect(engine.submit(ask())).error
        assert isinstance(error, OverloadedError)
        assert error.retry_after >= 1
        assert "waited for 0.2 s" in str(error)
        # What has begun is not refused, however long it takes.
        time.sleep(0.3)
        assert engine.stats().active_requests == 1
        running.cancel()
        assert collect(engine.submit(ask())).error is None
        assert engine.stats().requests_refused == 1


def test_many_prompts_are_taken_as_one_or_not_at_all() -> None:
    with tiny_engine(max_rows=1, max_waiting=2) as engine:
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        many = engine.submit_all([ask([index], max_tokens=2) for index in range(1, 100)])
        assert engine.stats().waiting_requests == 1
        scores = engine.submit_scores([[1, 2, 3]] * 50)
        scores[-1].result(30)
        assert engine.stats().waiting_requests == 1
        other = engine.submit(ask())
        active = engine.stats().active_requests
        with pytest.raises(OverloadedError):
            engine.submit_all([ask([index], max_tokens=2) for index in range(1, 100)])
        with pytest.raises(OverloadedError):
            engine.submit_scores([[1, 2, 3]] * 50)
        assert engine.stats().active_requests <= max(active, 101)
        running.cancel()
        for stream in (*many, other):
            assert collect(stream).error is None
        assert engine.stats().waiting_requests == 0


def test_cancelled_while_waiting_leaves_the_line() -> None:
    with tiny_engine(max_rows=1, max_waiting=2) as engine:
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        for _ in range(20):
            waiting = engine.submit_all([ask(), ask()])
            for stream in waiting:
                stream.cancel()
            deadline = time.monotonic() + 30
            while engine.stats().waiting_requests:
                assert time.monotonic() < deadline
        running.cancel()


def test_retry_after_is_how_long_the_line_takes() -> None:
    queue = Queue(limit=100)
    for _ in range(100):
        queue.join(now=0.0)
    for second in range(20):  # one begins every two seconds
        queue.leave(now=2.0 * second)
        queue.join(now=2.0 * second)
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=40.0)
    assert refused.value.retry_after == 200
    assert "Try again in 200 s" in str(refused.value)
    # If none begins any more, the estimate grows, but not without end.
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=100.0)
    assert refused.value.retry_after == 500
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=10_000.0)
    assert refused.value.retry_after == LONGEST_RETRY_SECONDS
    assert queue.refused == 3


def test_a_quiet_hour_does_not_count_as_a_slow_line() -> None:
    queue = Queue(limit=100)
    for minute in range(64):  # each begins at once
        queue.join(now=60.0 * minute)
        queue.leave(now=60.0 * minute + 0.1)
    for _ in range(100):
        queue.join(now=4000.0)
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=4000.0)
    assert refused.value.retry_after == 10
    # Whoever gives up says nothing of how fast the line moves.
    for _ in range(100):
        queue.leave()
    for _ in range(100):
        queue.join(now=9000.0)
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=9000.0)
    assert refused.value.retry_after == 10


def test_nobody_is_refused_for_a_slow_line_where_slots_are_free() -> None:
    queue = Queue(limit=1000, longest=10.5)
    for second in range(0, 64, 2):  # a slow line, which all have left
        queue.join(now=float(second))
        queue.leave(now=second + 2.0)
    for _ in range(32):
        queue.join(now=100.0, room=32)
    for _ in range(2):
        queue.join(now=100.0, room=32)
    with pytest.raises(OverloadedError, match="might begin after"):
        queue.join(now=100.0, room=32)


def test_a_burst_after_a_slow_time_begins() -> None:
    gate = threading.Event()

    class Gated(Decoder):
        def prefill(self, *args: Any, **rest: Any) -> StepOutput:
            assert gate.wait(60)
            return super().prefill(*args, **rest)

    with tiny_engine(Gated(tiny_network(), "tiny", END), max_rows=32, max_queue_seconds=60) as engine:
        line: Queue = vars(engine)["_queue"]
        for _ in range(20):
            line.join(0.0)
            line.leave(10.0)
        streams = [engine.submit(ask([index, 7], max_tokens=2)) for index in range(1, 30)]
        gate.set()
        assert all(collect(stream).error is None for stream in streams)


def test_long_waits_are_told_in_plain_numbers() -> None:
    queue = Queue(limit=1000, longest=100.0)
    queue.join(now=0.0)
    for begun in range(1, 17):  # one begins every 120 seconds
        queue.join(now=120.0 * begun)
        queue.leave(now=120.0 * begun)
    with pytest.raises(OverloadedError, match="might begin after 240 s, and 50% of the 100 s"):
        queue.join(now=120.0 * 16)


def test_retry_after_is_a_second_at_least() -> None:
    queue = Queue(limit=1)
    queue.join(now=0.0)
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=0.0)
    assert refused.value.retry_after == 1
    queue.leave(now=0.001)
    queue.join(now=0.001)
    with pytest.raises(OverloadedError) as refused:
        queue.join(now=0.002)
    assert refused.value.retry_after == 1


def test_who_would_wait_for_too_long_is_refused_at_once() -> None:
    queue = Queue(limit=1000, longest=10.5)
    for _ in range(4):
        queue.join(now=0.0)
    for second in range(1, 31):  # one begins every second
        queue.leave(now=float(second))
        queue.join(now=float(second))
    queue.join(now=30.0)
    with pytest.raises(
        OverloadedError,
        match=r"might begin after 6 s, and 50% of the 10.5 s that one may wait are the most",
    ):
        queue.join(now=30.0)
    with pytest.raises(OverloadedError):
        queue.require_room(now=30.0)
    assert (queue.waiting, queue.refused) == (5, 2)
    # Others have turns of their own, so what one client piled up is no reason to refuse them.
    queue.join(now=30.0, client="other")
    queue.leave(now=30.5, client="other")
    # The line moves again, and there is room.
    queue.leave(now=31.0)
    queue.join(now=31.0)


def test_nobody_is_taken_to_wait_in_vain_where_requests_begin_in_waves_of_any_length() -> None:
    longest, line, free = 1.0, deque[float](), 8
    queue = Queue(limit=1000, longest=longest)
    begun = waited_in_vain = 0
    for tick in range(4000):  # of 10 ms, with a request each, which are more than can begin
        now, settled = tick / 100, tick >= 2000
        if tick % 160 in {40, 159}:  # all that began last end, in turn after 0.4 and after 1.2 s
            free = 8
        with suppress(OverloadedError):
            queue.join(now, room=free)
            line.append(now)
        while line and now - line[0] > longest:
            line.popleft()
            queue.too_late(now, longest)
            queue.leave()
            waited_in_vain += settled  # until then it is not known how the line moves
        while line and free:
            line.popleft()
            queue.leave(now)
            free, begun = free - 1, begun + settled
    assert waited_in_vain == 0
    assert begun > 180  # of 200


def test_one_long_wait_is_not_held_against_the_line_for_ever() -> None:
    queue = Queue(limit=1000, longest=16.0)
    for begun, seconds in enumerate([9.0] + [0.1] * 15):
        queue.join(now=100.0 + begun)
        queue.leave(now=100.0 + begun + seconds)
    with pytest.raises(OverloadedError):
        queue.join(now=120.0)
    for begun in range(16):  # one a minute, at once
        queue.join(now=200.0 + 60 * begun, room=32)
        queue.leave(now=200.0 + 60 * begun)
    for _ in range(20):
        queue.join(now=1200.0)


@pytest.mark.parametrize("begun", [0, 3, 15])
def test_few_beginnings_foretell_nothing(begun: int) -> None:
    queue = Queue(limit=1000, longest=5.0)
    for second in range(begun):
        queue.join(now=100.0 * second)
        queue.leave(now=100.0 * second + 90)
    for _ in range(50):
        queue.join(now=10_000.0)
    assert queue.waiting == 50
