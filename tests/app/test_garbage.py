"""Garbage is collected while nobody waits, or else after so long; afterwards Python does as it did before."""

import asyncio
import gc
import weakref

import pytest

from app.api.metrics import Metrics
from app.garbage import collect_when_idle, collected_when_told


class Knot:
    """Refers to itself, so that only a collection can let go of it."""

    def __init__(self) -> None:
        self.itself = self


class EnoughError(Exception):
    """It has looked often enough."""


def look_once(idle: float, elapsed: float, few: int, many: int) -> None:
    """Let it look once, at a time when nobody has waited for `idle` seconds, `elapsed` after it began."""
    looks = iter([idle])
    times = iter([0.0, elapsed, elapsed, elapsed])

    def idle_seconds() -> float:
        for answer in looks:
            return answer
        raise EnoughError

    with pytest.raises(EnoughError):
        asyncio.run(
            collect_when_idle(
                idle_seconds, every=0, latest=100, few=few, many=many, clock=lambda: next(times)
            )
        )


MANY = 1_000_000_000


@pytest.mark.parametrize(
    ("idle", "elapsed", "few", "many", "collected"),
    [
        (60.0, 10, -MANY, MANY, True),
        (0.5, 10, -MANY, MANY, False),  # the last answer's objects may still be there
        (0.0, 10, -MANY, MANY, False),
        (0.0, 10, MANY, MANY, True),  # it takes no time
        (0.0, 100, -MANY, MANY, True),
        (0.0, 100, -MANY, -MANY, False),  # in the midst of a large answer
        (0.0, 1000, -MANY, -MANY, True),  # but not for ever
    ],
)
def test_garbage_goes_while_nobody_waits_or_after_so_long(
    idle: float, elapsed: float, few: int, many: int, collected: bool
) -> None:
    with collected_when_told():
        knot = Knot()
        for generation in range(2):  # beyond what young collections would find
            gc.collect(generation)
        known = weakref.ref(knot)
        del knot
        look_once(idle, elapsed, few, many)
        assert (known() is None) is collected


def test_what_stays_is_set_aside_so_that_little_is_left_to_look_through() -> None:
    with collected_when_told():
        before = gc.get_freeze_count()
        brought = [[index] for index in range(10_000)]  # as a library's objects, after the start
        look_once(60.0, 10, few=-MANY, many=MANY)
        assert gc.get_freeze_count() >= before + len(brought)


def test_nobody_has_waited_since_the_last_answer_was_out() -> None:
    metrics = Metrics()
    with metrics.request_in_progress():
        with metrics.request_in_progress():
            assert metrics.idle_seconds() == 0
        assert metrics.idle_seconds() == 0
    first = metrics.idle_seconds()
    assert 0 <= first <= metrics.idle_seconds()


def test_all_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with collected_when_told():
        assert gc.get_threshold()[2] > 1e6
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
