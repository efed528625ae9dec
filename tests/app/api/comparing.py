"""Comparisons over HTTP, as a client makes them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

ARMS: list[dict[str, Any]] = [
    {"name": "greedy", "strategy": {"kind": "greedy"}},
    {"name": "warm", "strategy": {"kind": "sample"}, "temperature": 0.7, "logit_bias": {"5": -1.5}},
]
SPLIT = "train"
"""Its problems are the quickest to draw."""

TIMES = ("latency_s", "cached_tokens")
"""What may differ between two runs of the same comparison: time, and what the cache happened to hold."""


def spec(count: int, **fields: object) -> dict[str, Any]:
    """Two arms on `count` problems of three ops, short."""
    problems = {"source": "corpus", "split": SPLIT, "ops": [1, 3], "count": count}
    return {"arms": ARMS, "problems": problems, "max_tokens": 24, "latency_problems": 1} | fields


def submit(http: httpx2.Client, body: Mapping[str, object]) -> str:
    """Submit a comparison; its id."""
    answer = http.post("/v1/compare", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/compare/{answer.json()['id']}"
    return answer.json()["id"]


def progress(http: httpx2.Client, id: str) -> Iterator[dict[str, Any]]:
    """The events of a comparison up to `[DONE]`, which has to come."""
    with http.stream("GET", f"/v1/compare/{id}/events", timeout=120) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line == "data: [DONE]":
                return
            if line:
                yield json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended without [DONE]")


def wait_until_over(http: httpx2.Client, id: str) -> dict[str, Any]:
    """The last status of a comparison."""
    return list(progress(http, id))[-1]


def clear_away(http: httpx2.Client) -> None:
    """Cancel and delete every comparison."""
    for each in http.get("/v1/compare").json()["data"]:
        http.post(f"/v1/compare/{each['id']}/cancel")
        wait_until_over(http, each["id"])
        assert http.delete(f"/v1/compare/{each['id']}").status_code == 200


def wait_for_outcomes(http: httpx2.Client, id: str, count: int) -> dict[str, Any]:
    """The first status with so many outcomes; it still runs then."""
    for status in progress(http, id):
        if status["done"] >= count:
            assert status["status"] == "running"
            return status
    raise AssertionError("it ended too early")


def outcomes(http: httpx2.Client, id: str) -> list[dict[str, Any]]:
    """All outcomes so far."""
    answer = http.get(f"/v1/compare/{id}/results", params={"limit": 10_000})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def without_times(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outcomes in a fixed order, without what may differ between two runs."""
    kept = [{name: value for name, value in each.items() if name not in TIMES} for each in found]
    return sorted(kept, key=lambda each: (each["problem"], each["arm"]))
