"""No client holds a connection for longer than it may, or takes the place of one who is being served."""

import json
import re
import resource
import select
import socket
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import httpx2
import pytest

from tests.app.api.server import Server, running_server
from tests.app.api.wire import Heard, connect, get, listen, post, talk

SECONDS = 1.5
LATER = 120.0  # a busy machine may take this much longer
COMPLETIONS = "/v1/completions"
JSON = {"content-type": "application/json"}
LARGE_FILE = "/web/vendor/uplot/uPlot.js"


def completion(**fields: object) -> bytes:
    return json.dumps({"prompt": "How many kites?", "max_tokens": 3, **fields}).encode()


@pytest.fixture(scope="module")
def hasty_server(checkpoint_folder: Path) -> Generator[Server]:
    """A server that waits for its clients for a second and a half, whatever they do."""
    names = ("header-timeout", "body-timeout", "keep-alive", "write-timeout")
    flags = [part for name in names for part in (f"--{name}-seconds", str(SECONDS))]
    with running_server(checkpoint_folder, flags) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def small_server(checkpoint_folder: Path) -> Generator[Server]:
    """A server with room for four connections."""
    with running_server(checkpoint_folder, ["--max-connections", "4"]) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def many_files() -> None:
    """Room for the sockets of a flood."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        if 0 <= hard < 4096:
            pytest.skip(f"this process may open {hard} files only")
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))


def open_and_send(url: str, data: bytes, count: int = 1) -> list[socket.socket]:
    sockets = [connect(url) for _ in range(count)]
    for sock in sockets:
        sock.sendall(data)
    return sockets


def close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def trickle(url: str, start: bytes, drop: bytes, seconds: float = SECONDS + LATER) -> tuple[Heard, float]:
    """Send `start`, then `drop` again and again. Returns what was heard, and for how long."""
    began, data = time.monotonic(), b""
    with connect(url) as sock:
        sock.sendall(start)
        while (passed := time.monotonic() - began) < seconds:
            heard = listen(sock, 0.2)
            data += heard.data
            if heard.closed:
                return Heard(data, closed=True), passed
            try:
                sock.sendall(drop)
            except ConnectionError:
                return Heard(data, closed=True), passed
    return Heard(data, closed=False), passed


@pytest.mark.usefixtures("many_files")
def test_half_headers_and_half_bodies_are_gone_in_time_and_others_are_served(hasty_server: Server) -> None:
    url = hasty_server.url
    headers = open_and_send(url, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-", 900)
    bodies = open_and_send(url, post(COMPLETIONS, b"{", length=100), 300)
    try:
        with httpx2.Client(base_url=url, timeout=30) as http:
            assert http.get("/health/live").status_code == 200
            assert http.post(COMPLETIONS, content=completion(), headers=JSON).status_code == 200
        until = time.monotonic() + SECONDS + LATER
        for number, sock in enumerate((*headers, *bodies)):
            heard = listen(sock, max(0.01, until - time.monotonic()))
            assert heard.closed, f"connection {number} is still open"
            if heard.data:  # nothing where it made room for another one
                assert heard.statuses == [408]
                assert heard.error["code"] == "request_timeout"
        # A client's fault is no news of ours.
        assert not re.search(r"\[(warning|error|critical).*request_timeout", hasty_server.log)
    finally:
        close(headers + bodies)


def test_a_header_that_trickles_has_no_more_time_than_one_that_stops(hasty_server: Server) -> None:
    heard, passed = trickle(hasty_server.url, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-a: ", b"a")
    assert heard.statuses == [408]
    assert heard.error["code"] == "request_timeout"
    assert "DEMUR_HEADER_TIMEOUT_SECONDS" in heard.error["message"]
    assert passed >= SECONDS - 0.3


def test_the_header_of_a_second_request_has_its_own_time(hasty_server: Server) -> None:
    heard, _ = trickle(hasty_server.url, get("/health/live") + b"GET /health/live HT", b"T")
    assert heard.statuses == [200, 408]


def test_a_body_that_trickles_has_no_more_time_than_one_that_stops(hasty_server: Server) -> None:
    for framing in (b"content-length: 1000", b"transfer-encoding: chunked"):
        start = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        drop = b" " if b"length" in framing else b"1\r\n \r\n"
        heard, passed = trickle(hasty_server.url, start + framing + b"\r\n\r\n", drop)
        assert heard.statuses == [408]
        assert heard.closed
        assert heard.error["code"] == "request_timeout"
        assert "DEMUR_BODY_TIMEOUT_SECONDS" in heard.error["message"]
        assert passed >= SECONDS - 0.3
    metrics = httpx2.get(f"{hasty_server.url}/metrics").text
    assert 'demur_http_requests_total{method="POST",route="/v1/completions",status="408"}' in metrics


def test_what_nobody_waits_for_does_not_keep_a_connection_open(hasty_server: Server) -> None:
    for start in (b"", get("/health/live"), get("/health/live", b"content-length: 1000")):
        for drop in (b"", b" ") if b"length" in start else (b"",):
            heard, passed = trickle(hasty_server.url, start, drop)
            assert heard.closed, (start, drop)
            assert heard.statuses == ([200] if start else [])
            assert passed < SECONDS + LATER


def test_a_connection_in_use_stays_open(hasty_server: Server) -> None:
    with connect(hasty_server.url) as sock:
        for _ in range(6):
            sock.sendall(get("/health/live"))
            assert listen(sock, SECONDS / 3).statuses == [200]


def pipelined_file(url: str) -> tuple[socket.socket, int]:
    """A connection with little room, on which more answers come than any buffer holds, and their bytes."""
    sock = connect(url)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    size = len(httpx2.get(url + LARGE_FILE).content)
    count = 16_000_000 // size
    sock.sendall(get(LARGE_FILE) * count)
    return sock, count * size


def test_an_answer_that_nobody_reads_is_given_up(hasty_server: Server) -> None:
    sock, _ = pipelined_file(hasty_server.url)
    with sock:
        poll = select.poll()
        poll.register(sock, 0)  # only whether it was reset
        assert poll.poll((2 * SECONDS + LATER) * 1000), "the connection is still open"


def test_a_slow_reader_gets_all_of_its_answer(hasty_server: Server) -> None:
    for _ in range(10):
        read, size, pause = read_slowly(hasty_server.url)
        if read >= size:
            return
        assert pause > SECONDS, f"closed after {read} of {size} bytes, none of which was waited for longer"
    pytest.skip("this machine holds up a reader again and again for as long as the server waits for it")


def read_slowly(url: str) -> tuple[int, int, float]:
    """Read a large file a little at a time.

    Returns the bytes that came, those there are, and the longest pause between two reads, in seconds: on a
    busy machine it is longer than was meant.
    """
    sock, size = pipelined_file(url)
    read, pause = 0, 0.0
    began = last = time.monotonic()
    with sock:
        while read < size:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                part = b""
            now = time.monotonic()
            pause, last = max(pause, now - last), now
            if not part:
                break
            read += len(part)
            if now - began < 3 * SECONDS:  # so slowly that the system's buffer takes no more for so long
                time.sleep(0.2)
    return read, size, pause


def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(small_server: Server) -> None:
    endless = completion(stream=True, n=32, max_tokens=110, ignore_eos=True)
    sockets = open_and_send(small_server.url, post(COMPLETIONS, endless))
    assert sockets[0].recv(1)
    try:
        for _ in range(5):
            sockets += open_and_send(small_server.url, get("/health/live"))
            assert b" 200 OK" in sockets[-1].recv(65536)
        waiting = sockets[1:]
        assert [listen(sock, 0.5).closed for sock in waiting] == [True, True, False, False, False]
        assert b"[DONE]" in listen(sockets[0], LATER, until=b"[DONE]").data
    finally:
        close(sockets)


def test_where_all_are_being_served_a_new_connection_is_told_so(small_server: Server) -> None:
    request = post(COMPLETIONS, completion(stream=True, n=64, max_tokens=110, ignore_eos=True))
    running = []
    try:
        for _ in range(4):
            running += open_and_send(small_server.url, request)
            assert running[-1].recv(1)
        for _ in range(3):
            refused = talk(small_server.url, get("/health/live"), seconds=LATER)
            assert refused.statuses == [503]
            assert refused.closed
            assert refused.error["code"] == "too_many_connections"
            assert "DEMUR_MAX_CONNECTIONS" in refused.error["message"]
            assert b"retry-after: " in refused.data
        for sock in running:
            assert b"[DONE]" in listen(sock, LATER, until=b"[DONE]").data
        assert httpx2.get(f"{small_server.url}/health/live").status_code == 200
    finally:
        close(running)


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/health/live"),
        post(COMPLETIONS, completion()),
        post(COMPLETIONS, completion(n=64, max_tokens=100, ignore_eos=True)),
        post(COMPLETIONS, completion(stream=True)),
        post("/v1/nothing", b"{}"),
        get("/health/live").replace(b"1.1", b"1.0"),
    ],
    ids=["get", "post", "long", "stream", "unknown", "http-1.0"],
)
def test_who_sends_no_more_gets_its_answer(server: Server, request_bytes: bytes) -> None:
    usual = talk(server.url, request_bytes.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
    heard = talk(server.url, request_bytes, half_close=True)
    assert heard.closed
    assert heard.statuses == usual.statuses
    assert len(heard.statuses) == 1


def test_who_sends_several_requests_and_no_more_gets_all_answers(server: Server) -> None:
    requests = get("/health/live") + post(COMPLETIONS, completion()) + get("/v1/nothing")
    heard = talk(server.url, requests, half_close=True)
    assert heard.statuses == [200, 200, 404]
    assert heard.closed


def test_who_sends_no_more_in_the_middle_of_a_request_is_told_so(server: Server) -> None:
    heard = talk(server.url, post(COMPLETIONS, b"{", length=9), half_close=True)
    assert heard.statuses == [400]
    assert heard.error["code"] == "invalid_http"
    assert heard.closed
    assert talk(server.url, b"GET / HT", half_close=True) == Heard(b"", closed=True)


def test_an_answer_reaches_who_has_not_sent_all_of_its_body(server: Server) -> None:
    for _ in range(5):
        heard = talk(server.url, post(COMPLETIONS, b" " * 300_000, length=100_000_000), seconds=3)
        assert heard.statuses == [413]
        assert heard.error["code"] == "body_too_large"


def test_an_answer_does_not_wait_until_the_client_acknowledges_its_header(server: Server) -> None:
    seconds: list[float] = []
    with connect(server.url) as sock:
        for _ in range(20):
            began = time.perf_counter()
            sock.sendall(get("/health/live"))
            assert listen(sock, 10, until=b"}").statuses == [200]
            seconds.append(time.perf_counter() - began)
    assert min(seconds[1:]) < 0.03, "a delayed acknowledgement takes 0.04 s"
