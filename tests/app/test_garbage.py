"""Garbage is collected while nobody waits, or else after so long; afterwards Python does as it did before."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from app.garbage import collect_when_idle, collected_when_told


class Knot:
    """Refers to itself, so that only a collection can let go of it."""

    def __init__(self) -> None:
        self.itself = self


async def seconds_of(*, busy: bool, latest: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(collect_when_idle(lambda: busy, every=0.01, latest=latest), 0.2)


@pytest.mark.parametrize(
    ("busy", "latest", "collected"),
    [(False, 1e9, True), (True, 1e9, False), (True, 0.05, True)],
)
def test_garbage_goes_while_nobody_waits_or_after_so_long(busy: bool, latest: float, collected: bool) -> None:
    with collected_when_told():
        knot = Knot()
        for generation in range(2):  # beyond what young collections would find
            gc.collect(generation)
        known = weakref.ref(knot)
        del knot
        asyncio.run(seconds_of(busy=busy, latest=latest))
        assert (known() is None) is collected


def test_all_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with collected_when_told():
        assert gc.get_threshold()[2] > 1e6
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
