"""Ten minutes of everything at once; `python -m benchmarks.soak` is the hour."""

import pytest
from rich.console import Console

from benchmarks.served import served
from benchmarks.soak import soak


@pytest.mark.slow
@pytest.mark.artifact
@pytest.mark.timeout(1500)
def test_ten_minutes_of_everything_change_nothing() -> None:
    with served() as server:
        assert soak(server, 600, 32, 0, Console(stderr=True)) == []
