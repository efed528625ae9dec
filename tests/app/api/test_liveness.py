"""Whatever a request holds, the server answers for its health meanwhile; benchmarks/liveness.py has more."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from benchmarks.large_requests import Case, cases
from benchmarks.liveness import Server as Watched
from benchmarks.liveness import send, watch
from tests.app.api.server import Server

LATER = 0.1
"""Seconds of processor time."""

MEMORY = 64 * 2**20

NAMES = (
    'prompt of [""]',
    'prompt of ["a"]',
    "prompt of 7",
    "prompt of spaces",
    "80,000 bad biases",
    "unknown fields of a strategy",
    "24 texts of 256, 20 alternatives",
    "19 texts of 256, 20 alternatives",
    'parts of {"type":"text","text":"a"}',
)


@pytest.fixture(scope="module")
def large() -> Mapping[str, Case]:
    return {case.name: case for case in cases()}


@pytest.mark.parametrize("name", NAMES)
def test_health_is_answered_while_a_large_request_is(
    server: Server, large: Mapping[str, Case], name: str
) -> None:
    address = urlsplit(server.url)
    watched = Watched(server.process.pid or 0, str(address.hostname), int(address.port or 0))
    until = time.monotonic() + 0.5
    idle = sorted(each.processor for each in watch(watched, lambda: time.monotonic() > until))
    case = large[name]
    assert case.body is not None
    content = case.body()
    before = most = watched.memory()
    with ThreadPoolExecutor(1) as sender:
        sent = sender.submit(send, watched, case, content)
        answers = watch(watched, sent.done)
        most = max(most, watched.memory())
    status, _ = sent.result()
    assert status in (200, 400)
    assert max((each.processor for each in answers), default=0.0) - idle[len(idle) // 2] < LATER
    assert most - before < MEMORY
