"""Streams: concurrency, clients that go away, and errors after the first byte."""

import json
import signal
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.app.api.server import Server, running_server, server_here

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


def body(seed: int, **fields: object) -> dict[str, object]:
    return {"prompt": PROBLEM, "seed": seed, "max_tokens": 20, "ignore_eos": True, "stream": True} | fields


def events(response: httpx2.Response) -> Generator[str]:
    for line in response.iter_lines():
        if line:
            assert line.startswith("data: ")
            yield line.removeprefix("data: ")


def stream_text(url: str, seed: int) -> str:
    """The text of one stream, which has to end as it should."""
    text = ""
    with httpx2.stream("POST", f"{url}/v1/completions", json=body(seed), timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        received = list(events(response))
    assert received[-1] == "[DONE]"
    for event in received[:-1]:
        text += json.loads(event)["choices"][0]["text"]
    return text


def metric(url: str, name: str) -> float:
    """A metric without labels."""
    for line in httpx2.get(f"{url}/metrics", timeout=60).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"{name} is not among the metrics")


def wait_for_metric(url: str, name: str, value: float) -> None:
    """The server learns that a client is gone from its socket, some time after the client has left."""
    deadline = time.monotonic() + 100
    while (seen := metric(url, name)) != value:
        assert time.monotonic() < deadline, f"{name} is {seen}, not {value}"


def test_32_streams_at_once_equal_one_by_one(server: Server) -> None:
    alone = [stream_text(server.url, seed) for seed in range(32)]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(stream_text, [server.url] * 32, range(32)))
    assert together == alone
    assert len(set(alone)) == 32


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_client_that_goes_away_frees_its_rows(server: Server, stream: bool) -> None:
    cancelled = metric(server.url, "demur_requests_cancelled_total")
    request = body(1, n=100, max_tokens=100, stream=stream)
    with httpx2.Client(timeout=60) as http:
        if stream:
            with http.stream("POST", f"{server.url}/v1/completions", json=request) as response:
                next(events(response))
        else:
            with pytest.raises(httpx2.ReadTimeout):
                http.post(f"{server.url}/v1/completions", json=request, timeout=0.3)
    wait_for_metric(server.url, "demur_requests_cancelled_total", cancelled + 1)
    wait_for_metric(server.url, "demur_rows_in_use", 0)
    assert metric(server.url, "demur_requests_waiting") == 0
    stream_text(server.url, 1)
    assert "Traceback" not in server.log


def test_a_waiting_request_is_dropped_when_its_client_goes_away(narrow_server: Server) -> None:
    url, headers = f"{narrow_server.url}/v1/completions", {"authorization": "Bearer secret"}
    cancelled = metric(narrow_server.url, "demur_requests_cancelled_total")
    with httpx2.Client(timeout=60, headers=headers) as http:
        with http.stream("POST", url, json=body(1, max_tokens=110)) as first:
            assert first.status_code == 200
            received = events(first)
            next(received)
            with http.stream("POST", url, json=body(2)) as second:
                assert second.status_code == 200
            wait_for_metric(narrow_server.url, "demur_requests_cancelled_total", cancelled + 1)
            # Its place in the queue is free again, so a third one may wait there.
            with http.stream("POST", url, json=body(3)) as third:
                assert third.status_code == 200
            assert list(received)[-1] == "[DONE]"
        assert "[DONE]" in http.post(url, json=body(4, max_tokens=1)).text


def test_overload_is_refused_and_may_be_tried_again(narrow_server: Server) -> None:
    with OpenAI(base_url=f"{narrow_server.url}/v1", api_key="secret", max_retries=0) as client:
        running = client.completions.create(
            model="tiny", prompt=PROBLEM, max_tokens=110, stream=True, extra_body={"ignore_eos": True}
        )
        next(running)
        waiting = client.completions.create(model="tiny", prompt=PROBLEM, max_tokens=1, stream=True)
        with pytest.raises(openai.RateLimitError, match="waiting") as raised:
            client.completions.create(model="tiny", prompt=PROBLEM)
        assert raised.value.code == "overloaded"
        assert float(raised.value.response.headers["retry-after"]) > 0
        assert list(running)
        assert list(waiting)


def test_an_error_after_the_first_byte_is_the_last_event(checkpoint_folder: Path) -> None:
    with server_here(checkpoint_folder, max_rows=4, max_waiting=4) as here:
        url, service = here.url, here.service
        with httpx2.stream(
            "POST", f"{url}/v1/completions", json=body(1, n=4, max_tokens=100), timeout=60
        ) as response:
            received = events(response)
            first = json.loads(next(received))
            assert service.serving is not None
            service.serving.engine.stop()
            rest = list(received)
        assert first["choices"][0]["finish_reason"] is None
        assert json.loads(rest[-1])["error"]["type"] == "server_error"
        assert "[DONE]" not in rest
        with (
            OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
            pytest.raises(openai.InternalServerError, match="not running"),
        ):
            client.completions.create(model="tiny", prompt=PROBLEM)
        assert httpx2.get(f"{url}/health/live", timeout=60).status_code == 503


def test_a_server_that_is_stopped_ends_long_streams_with_an_error(checkpoint_folder: Path) -> None:
    with (
        running_server(checkpoint_folder, ["--drain-seconds", "0.2"]) as server,
        httpx2.stream(
            "POST", f"{server.url}/v1/completions", json=body(1, n=100, max_tokens=100), timeout=60
        ) as response,
    ):
        received = events(response)
        next(received)
        server.process.terminate()
        assert json.loads(list(received)[-1])["error"]["code"] == "not_ready"
    assert server.process.exitcode in (0, -signal.SIGTERM)
    assert "Traceback" not in server.log


def test_the_client_raises_an_error_that_comes_mid_stream(checkpoint_folder: Path) -> None:
    with (
        server_here(checkpoint_folder, max_rows=4, max_waiting=4) as here,
        OpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = client.completions.create(
            model="tiny", prompt=PROBLEM, n=4, max_tokens=100, stream=True, extra_body={"ignore_eos": True}
        )
        next(stream)
        assert here.service.serving is not None
        here.service.serving.engine.stop()
        with pytest.raises(openai.APIError, match="stopped"):
            list(stream)
