"""What cases of faults have in common: requests, comparisons, and what has to hold afterwards."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from benchmarks.served import Served

ARMS = [
    {"name": "greedy", "strategy": {"kind": "greedy"}},
    {"name": "vote", "strategy": {"kind": "self_consistency", "samples": 4}},
]
DRAWN = {"source": "corpus", "split": "train", "ops": [1, 4], "count": 200}


class Unmet(AssertionError):
    """A fault did more than it may."""


def require(holds: bool, says: object) -> None:
    """Raise `Unmet` where something does not hold."""
    if not holds:
        raise Unmet(str(says))


def bodies(count: int, seed: int) -> list[dict[str, Any]]:
    """Requests of several strategies, each with its own seed."""
    kinds: list[dict[str, Any] | None] = [
        None,
        {"kind": "self_consistency", "samples": 3},
        {"kind": "beam", "width": 3},
        {"kind": "random_retry", "probability": 0.5},
    ]
    drawn = random.Random(seed)
    return [
        {
            "prompt": f"Boats are {drawn.randint(0, 9)} times kites. Kites are 7. How many boats?",
            "seed": index,
            "max_tokens": 40,
            "temperature": drawn.choice([0.7, 1.0]),
            "strategy": kinds[index % len(kinds)],
        }
        for index in range(count)
    ]


def answers(url: str, asked: list[dict[str, Any]]) -> list[httpx2.Response]:
    """The answers of all, eight at a time."""
    with httpx2.Client(base_url=url, timeout=120) as http, ThreadPoolExecutor(8) as several:

        def ask(body: dict[str, Any]) -> httpx2.Response:
            return http.post("/v1/completions", json=body)

        return list(several.map(ask, asked))


def text_of(response: httpx2.Response) -> str:
    return response.json()["choices"][0]["text"]


def idle(server: Served, seconds: float = 20) -> None:
    """Wait until no row is in use and nothing waits."""
    names = ("demur_rows_in_use", "demur_requests_waiting", "demur_requests_active")
    until = time.monotonic() + seconds
    while left := {name: value for name in names if (value := server.metric(name))}:
        require(time.monotonic() < until, f"still there after {seconds:g} s: {left}")
        time.sleep(0.1)


def submit(url: str) -> str:
    """The id of a comparison that takes a while."""
    spec = {"arms": ARMS, "problems": DRAWN, "max_tokens": 60, "latency_problems": 0}
    return httpx2.post(f"{url}/v1/compare", json=spec, timeout=120).raise_for_status().json()["id"]


def reported(url: str, id: str, at_least: int) -> list[dict[str, Any]]:
    """The outcomes of a comparison, once there are so many, or it is over."""
    until = time.monotonic() + 120
    while True:
        page = httpx2.get(f"{url}/v1/compare/{id}/results", params={"limit": 1000}, timeout=60).json()
        if len(page["data"]) >= at_least or page["status"] not in ("queued", "running"):
            return page["data"]
        require(time.monotonic() < until, "the comparison does not go on")
        time.sleep(0.1)


def status_once_over(url: str, id: str) -> dict[str, Any]:
    """The last status of a comparison."""
    until = time.monotonic() + 180
    while True:
        answer = httpx2.get(f"{url}/v1/compare/{id}", timeout=60)
        if answer.status_code != 200 or answer.json()["status"] not in ("queued", "running"):
            return answer.json() | {"http": answer.status_code}
        require(time.monotonic() < until, "the comparison never ends")
        time.sleep(0.2)
