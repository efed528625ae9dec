"""How much longer does a short request wait for its first token while a large one fills the engine?

Starts `demur serve` on a free port and asks it over loopback for 5 tokens, streamed, again and again, with
nothing else under way and beside each of five large ones, a comparison among them. A round measures every
one of them, so that whatever else the machine does hits all alike. Ratios are of medians, beside a large
request by alone, with a 95% bootstrap interval over rounds.

    python -m benchmarks.fairness [--rounds 5] [--requests 6] [--rows 32] [--checkpoint FOLDER]
"""

import argparse
import json
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import Served, served
from models.corpora.registry import corpus_named

RESAMPLES = 10_000
ALONE = "alone"
COMPARE = "/v1/compare"
ARMS = [
    {"name": "greedy", "strategy": {"kind": "greedy"}},
    {"name": "vote", "strategy": {"kind": "self_consistency", "samples": 32}},
]
DRAWN = {"source": "corpus", "split": "test", "ops": [3, 5], "count": 2000}
LIMIT = 3.0
"""What a newcomer may have to wait, by what it waits alone."""

Load = tuple[str, Mapping[str, Any]]
"""A route and a body."""


def large_requests(problems: Iterator[str]) -> dict[str, Load]:
    """What a short request may find under way; all go on for longer than it takes."""
    long = {"max_tokens": 150, "ignore_eos": True}
    best = {"kind": "probe_best_of_n", "samples": 64}
    many = [next(problems) for _ in range(255)]
    return {
        "n: 128": ("/v1/completions", {"prompt": next(problems), "n": 128, **long}),
        "best of 64": ("/v1/completions", {"prompt": next(problems), "strategy": best, **long}),
        "255 prompts": ("/v1/completions", {"prompt": many, **long}),
        "255 texts scored": ("/v1/score", {"input": many, "signals": ["entropy"]}),
        "a comparison": (COMPARE, {"arms": ARMS, "problems": DRAWN, "latency_problems": 0}),
    }


def first_token(http: httpx2.Client, prompt: str, seed: int) -> float:
    """Seconds until the first of 5 tokens is there."""
    body = {"prompt": prompt, "seed": seed, "max_tokens": 5, "ignore_eos": True, "stream": True}
    began = time.perf_counter()
    first = 0.0
    with http.stream("POST", "/v1/completions", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data: {") and not first:
                assert "error" not in json.loads(line[6:]), line
                first = time.perf_counter() - began
    return first


@contextmanager
def under_way(server: Served, load: Load) -> Generator[None]:
    """A large request, again and again, from when it has begun until the end of the block."""
    stopping = threading.Event()
    route, body = load
    http = httpx2.Client(base_url=server.url, timeout=600)

    def ask() -> None:
        while not stopping.is_set():
            with suppress(httpx2.TransportError, RuntimeError):
                http.post(route, json=body).raise_for_status()

    thread = threading.Thread(target=ask, daemon=True)
    comparing = http.post(route, json=body).json()["id"] if route == COMPARE else None
    if comparing is None:
        thread.start()
    time.sleep(1.5)
    try:
        yield
    finally:
        stopping.set()
        if comparing is None:
            http.close()
            thread.join(0.5)
        else:
            http.post(f"{COMPARE}/{comparing}/cancel").raise_for_status()
            while http.get(f"{COMPARE}/{comparing}").json()["status"] == "running":
                time.sleep(0.1)
        wait_until_idle(server)


def wait_until_idle(server: Served) -> None:
    """Return once the server has nothing to do."""
    while any(server.metric(name) for name in ("demur_requests_active", "demur_requests_waiting")):
        time.sleep(0.1)


def interval(alone: list[list[float]], beside: list[list[float]]) -> tuple[float, float, float]:
    """Ratio of the medians and its 95% interval, from rounds drawn again."""
    draws = np.random.default_rng(0).integers(0, len(alone), (RESAMPLES, len(alone)))
    ratios = [
        np.median(np.concatenate([beside[i] for i in rounds]))
        / np.median(np.concatenate([alone[i] for i in rounds]))
        for rounds in draws
    ]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return (
        float(np.median(np.concatenate(beside)) / np.median(np.concatenate(alone))),
        float(low),
        float(high),
    )


def report(seconds: Mapping[str, list[list[float]]]) -> None:
    """Print medians, spread and ratios."""
    table = Table(title="First token of a 5-token request, in milliseconds")
    for heading in ("beside", "n", "median", "quartiles", "95%", f"ratio (95% interval), aim {LIMIT:g}"):
        table.add_column(heading, justify="left" if heading == "beside" else "right")
    for name, rounds in seconds.items():
        low, middle, high, late = 1000 * np.quantile(np.concatenate(rounds), [0.25, 0.5, 0.75, 0.95])
        ratio, least, most = interval(seconds[ALONE], rounds)
        compared = "" if name == ALONE else f"{ratio:.2f} ({least:.2f} to {most:.2f})"
        count = str(sum(map(len, rounds)))
        table.add_row(name, count, f"{middle:.0f}", f"{low:.0f} to {high:.0f}", f"{late:.0f}", compared)
    Console(width=120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6, help="short requests per round and condition")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    arguments = parser.parse_args()
    random, corpus = Random(0), corpus_named()
    drawn = [corpus.draw(random, "test", 3 + index % 3).prompt for index in range(600)]
    problems = cycle(drawn)
    loads = large_requests(problems)
    progress = Console(stderr=True)
    seconds: dict[str, list[list[float]]] = {name: [] for name in (ALONE, *loads)}
    with (
        served("--checkpoint", str(arguments.checkpoint), "--max-rows", str(arguments.rows)) as server,
        httpx2.Client(base_url=server.url, timeout=600) as http,
    ):

        def several() -> list[float]:
            return [first_token(http, next(problems), seed) for seed in range(arguments.requests)]

        several()
        for _ in range(arguments.rounds):
            seconds[ALONE].append(several())
            for name, load in loads.items():
                with under_way(server, load):
                    seconds[name].append(several())
                medians = [float(np.median(seconds[each][-1])) for each in (ALONE, name)]
                progress.print(f"{name}: {medians[0]:.3f} s alone, {medians[1]:.3f} s beside it")
    report(seconds)


if __name__ == "__main__":
    main()
