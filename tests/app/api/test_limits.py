"""What a request may ask for, how long it may wait and take, and what a server that stops answers."""

import json
import logging
import threading
import time
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from tests.app.api.server import Here, server_here
from tests.app.api.test_streaming import events, wait_for_metric
from tests.app.api.wire import connect, listen, post

LONG = {"prompt": "How many kites?", "max_tokens": 110, "ignore_eos": True}
# Takes the only row for as long as a test needs: every sample has to end before the first word.
ENDLESS = {**LONG, "stream": True, "strategy": {"kind": "self_consistency", "samples": 64}}


@pytest.fixture(scope="module")
def strict(checkpoint_folder: Path) -> Generator[Here]:
    """A server of one row that is short of patience."""
    with server_here(
        checkpoint_folder,
        max_rows=1,
        max_waiting=2,
        max_queue_seconds=0.5,
        request_timeout_seconds=30,
        max_request_choices=6,
    ) as running:
        yield running


@pytest.fixture
def http(strict: Here) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=strict.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("route", "body", "param", "says"),
    [
        ("/v1/completions", {"prompt": "a", "n": 7}, "n", "n is 7"),
        ("/v1/completions", {"prompt": ["a"] * 7}, "prompt", "prompt holds 7 prompts"),
        ("/v1/completions", {"prompt": ["a", "b"], "n": 4}, "n", "8 choices"),
        ("/v1/completions", {"prompt": [[1]] * 7}, "prompt", "prompt holds 7 prompts"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}], "n": 7}, "n", "n is 7"),
        ("/v1/score", {"input": ["a"] * 7}, "input", "input holds 7 prompts"),
    ],
)
def test_more_choices_than_a_request_may_have_are_refused(
    http: httpx2.Client, route: str, body: dict[str, object], param: str, says: str
) -> None:
    response = http.post(route, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "out_of_range", param)
    assert says in error["message"]
    assert "at most 6 per request" in error["message"]


def test_as_many_choices_as_a_request_may_have_are_answered(http: httpx2.Client) -> None:
    answer = http.post("/v1/completions", json={"prompt": ["a", "b", "c"], "n": 2, "max_tokens": 1})
    assert len(answer.json()["choices"]) == 6
    assert len(http.post("/v1/score", json={"input": ["ab"] * 6}).json()["data"]) == 6


@pytest.mark.parametrize("route", ["/v1/completions", "/v1/score"])
@pytest.mark.parametrize("timeout", [0, -1, "1", True, 31, 1e9])
def test_a_timeout_out_of_range_is_refused(http: httpx2.Client, route: str, timeout: object) -> None:
    body = {"prompt" if route == "/v1/completions" else "input": "ab", "timeout": timeout}
    response = http.post(route, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "timeout"


def test_the_context_is_what_the_server_allows(checkpoint_folder: Path) -> None:
    with (
        server_here(checkpoint_folder, max_context=16) as running,
        httpx2.Client(base_url=running.url, timeout=30) as http,
    ):
        assert http.get("/v1/models/tiny").json()["context_length"] == 16
        asked = {"prompt": [5] * 10, "max_tokens": 20, "ignore_eos": True}
        answer = http.post("/v1/completions", json=asked).json()
        assert answer["usage"]["completion_tokens"] == 6
        (warning,) = answer["warnings"]
        assert warning.startswith("max_tokens is 20, but the model's context of 16 holds 6 more tokens")
        for route, field in (("completions", "prompt"), ("score", "input")):
            refused = http.post(f"/v1/{route}", json={field: [5] * 17}).json()["error"]
            assert refused["code"] == "context_length_exceeded"
            assert refused["message"].endswith("the model's context holds 16, so send at most 16")


def test_a_request_that_takes_too_long_gets_504(http: httpx2.Client, strict: Here) -> None:
    with http.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as running:
        next(events(running))
        response = http.post("/v1/completions", json={**LONG, "n": 6, "timeout": 0.1})
    error = response.json()["error"]
    assert response.status_code == 504
    assert (error["type"], error["code"]) == ("timeout_error", "deadline_exceeded")
    assert "0.1 s" in error["message"]
    wait_for_metric(strict.url, "demur_rows_in_use", 0)


def test_a_stream_that_takes_too_long_ends_with_an_error(http: httpx2.Client) -> None:
    body = {**LONG, "n": 6, "timeout": 0.2, "stream": True}
    with http.stream("POST", "/v1/completions", json=body) as response:
        last = list(events(response))[-1]
    assert json.loads(last)["error"]["code"] == "deadline_exceeded"


def test_whoever_waits_too_long_gets_429_and_when_to_try_again(http: httpx2.Client, strict: Here) -> None:
    with http.stream("POST", "/v1/completions", json=ENDLESS):
        wait_for_metric(strict.url, "demur_rows_in_use", 1)
        response = http.post("/v1/completions", json={"prompt": "a"})
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "overloaded"
    assert "waited for 0.5 s" in response.json()["error"]["message"]
    assert int(response.headers["retry-after"]) >= 1
    wait_for_metric(strict.url, "demur_requests_active", 0)


def test_a_full_line_refuses_scores_and_prompts_as_a_whole(
    checkpoint_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.requests")
    with (
        server_here(checkpoint_folder, max_rows=1, max_waiting=1) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
        http.stream("POST", "/v1/completions", json=ENDLESS),
    ):
        wait_for_metric(server.url, "demur_rows_in_use", 1)
        with http.stream("POST", "/v1/completions", json={"prompt": ["a", "b", "c"], "stream": True}):
            wait_for_metric(server.url, "demur_requests_waiting", 1)
            for route, body in (
                ("/v1/completions", {"prompt": ["a"] * 9}),
                ("/v1/score", {"input": ["a"] * 9}),
            ):
                response = http.post(route, json=body)
                assert response.status_code == 429
                assert int(response.headers["retry-after"]) >= 1
            for unread in (b"not JSON", b'{"temperature": 99}'):
                kind = {"content-type": "application/json"}
                response = http.post("/v1/chat/completions", content=unread, headers=kind)
                assert (response.status_code, response.json()["error"]["code"]) == (429, "overloaded")
            wait_for_metric(server.url, "demur_requests_refused_total", 4)
    # The server has ended, so all lines are there.
    lines = [vars(record) for record in caplog.records if record.name == "app.requests"]
    refused = [(line["route"], line["model"]) for line in lines if line["status"] == 429]
    chats = [("/v1/chat/completions", "tiny")] * 2
    assert refused == [("/v1/completions", "tiny"), ("/v1/score", "tiny"), *chats]


def test_a_server_that_stops_says_so_and_ends_what_it_has_begun(checkpoint_folder: Path) -> None:
    with (
        server_here(checkpoint_folder, max_rows=1, drain_seconds=60) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        with http.stream("POST", "/v1/completions", json={**LONG, "n": 4, "stream": True}) as running:
            received = events(running)
            next(received)
            server.stop()
            refused = wait_until_draining(server.url)
            assert refused.json()["error"]["code"] == "draining"
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.headers["connection"] == "close"
            health = httpx2.get(f"{server.url}/health/ready")
            assert (health.status_code, health.json()["status"]) == (503, "draining")
            assert health.headers["retry-after"] == refused.headers["retry-after"]
            assert health.headers["connection"] == "close"
            assert httpx2.get(f"{server.url}/health/live").status_code == 200
            assert list(received)[-1] == "[DONE]"
        server.thread.join(60)
        assert not server.thread.is_alive()


def test_what_is_not_done_when_the_time_is_over_ends_with_an_error(checkpoint_folder: Path) -> None:
    with (
        server_here(checkpoint_folder, max_rows=1, drain_seconds=0.3) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
        http.stream("POST", "/v1/completions", json={**LONG, "n": 128, "stream": True}) as running,
    ):
        received = events(running)
        next(received)
        server.stop()
        assert "error" in json.loads(list(received)[-1])
        server.thread.join(60)
        assert not server.thread.is_alive()


def test_whoever_has_not_sent_all_of_a_request_is_told_at_once_that_the_server_stops(
    checkpoint_folder: Path,
) -> None:
    half = post("/v1/completions", b'{"prompt": ', length=100)
    with (
        server_here(checkpoint_folder, drain_seconds=60, body_timeout_seconds=60) as server,
        connect(server.url) as sock,
    ):
        sock.sendall(half)
        wait_for_metric(server.url, "demur_http_requests_in_progress", 2)  # this one, and who asks
        server.stop()
        heard = listen(sock, 30)
        server.thread.join(30)
        assert not server.thread.is_alive()
    assert heard.statuses == [503]
    assert heard.error["code"] == "draining"
    assert b"retry-after: 60" in heard.data


def wait_until_draining(url: str) -> httpx2.Response:
    """What a new request is answered once the server stops."""
    deadline = time.monotonic() + 30
    while True:
        response = httpx2.get(f"{url}/v1/models")
        if response.status_code == 503:
            return response
        assert time.monotonic() < deadline


def test_a_short_request_is_served_beside_a_large_one(checkpoint_folder: Path) -> None:
    """The bound on waiting is counted in passes by tests of the engine; here it is only not the whole."""
    with (
        server_here(checkpoint_folder, max_rows=4) as server,
        httpx2.Client(base_url=server.url, timeout=120) as http,
    ):
        done = threading.Event()

        def ask_for_much() -> None:
            assert http.post("/v1/completions", json={**LONG, "n": 48}).status_code == 200
            done.set()

        thread = threading.Thread(target=ask_for_much)
        thread.start()
        wait_for_metric(server.url, "demur_rows_in_use", 4)
        for _ in range(3):
            short = httpx2.post(
                f"{server.url}/v1/completions",
                json={"prompt": "How many boats?", "max_tokens": 5},
                timeout=60,
            )
            assert short.status_code == 200
        assert not done.is_set()
        thread.join()
        assert done.is_set()
