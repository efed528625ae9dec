"""Ctrl-C and termination of a long run, which saves its state first."""

import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Generator[list[int]]:
    """Collect the signals instead of dying of them."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
