"""The environment in which tests run, and every process that a test starts."""

import os

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Tests compute with tiny tensors, over which several threads only wait for each other: on a busy machine the
slowest tests took eight times as long with torch's default, one thread per core."""


def only_one_thread() -> None:
    """Bound the threads of this process and of all that it starts; before torch is imported, which reads this
    once."""
    os.environ.update(ONE_THREAD)
