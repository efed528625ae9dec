"""Does anything grow, or change, in a server that is used for an hour?

Starts `demur serve` and asks it, eight clients at a time, for texts by every strategy that it has, scores,
chats, what is refused, and streams that the client leaves, with comparisons in the background. Every text has
to be the one that the same request got alone at the beginning. Memory, open files and threads are looked at
when everything has come to rest, after a fifth of the time and at the end: memory may grow by the given
megabytes, files and threads not at all.

    python -m benchmarks.soak [--seconds 3600] [--megabytes 32] [--seed 0] [--checkpoint FOLDER]
"""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
from rich.console import Console

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import Served, served
from models.corpora.registry import corpus_named

CLIENTS = 8
SEEDS = 3
"""Requests of every strategy that are asked again and again."""

BAD: tuple[Mapping[str, Any], ...] = (
    {"prompt": "a", "temperature": -1},
    {"prompt": ""},
    {"prompt": "a", "strategy": {"kind": "none"}},
    {"prompt": "Kites are 7. " * 300},
)


@dataclass
class Tally:
    """What happened so far."""

    counts: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list[str])

    def fault(self, what: str) -> None:
        self.faults.append(what)


def requests_of(http: httpx2.Client, random: Random) -> list[dict[str, Any]]:
    """Some requests of every strategy that the server has."""
    corpus = corpus_named()
    listed = http.get("/v1/strategies").json()["data"]
    kinds = [each["kind"] for each in listed if each["unavailable"] is None]
    return [
        {
            "prompt": corpus.draw(random, "test", 2 + seed % 3).prompt,
            "strategy": {"kind": kind},
            "seed": seed,
            "max_tokens": 60,
            "signals": ["entropy"],
        }
        for kind in kinds
        for seed in range(SEEDS)
    ]


def text_of(http: httpx2.Client, body: Mapping[str, Any]) -> str:
    answer = http.post("/v1/completions", json=body).raise_for_status()
    return answer.json()["choices"][0]["text"]


def client(
    url: str, asked: list[dict[str, Any]], right: list[str], seed: int, until: float, tally: Tally
) -> None:
    """One of the clients: it does something, again and again."""
    random = Random(seed)
    with httpx2.Client(base_url=url, timeout=300) as http:
        while time.monotonic() < until:
            what = random.choices(("text", "leave", "bad", "score", "chat"), (12, 3, 3, 1, 1))[0]
            tally.counts[what] += 1
            place = random.randrange(len(asked))
            body = asked[place]
            if what == "text":
                if text_of(http, body) != right[place]:
                    tally.fault(f"another text: {body}")
            elif what == "leave":
                with http.stream("POST", "/v1/completions", json=body | {"stream": True}) as answer:
                    for _ in zip(answer.iter_lines(), range(random.randrange(20)), strict=False):
                        pass
            elif what == "bad":
                status = http.post("/v1/completions", json=random.choice(BAD)).status_code
                if status != 400:
                    tally.fault(f"{status} for what is bad")
            elif what == "score":
                http.post(
                    "/v1/score", json={"input": body["prompt"], "signals": ["entropy"]}
                ).raise_for_status()
            else:
                message = {"role": "user", "content": body["prompt"]}
                http.post(
                    "/v1/chat/completions", json={"messages": [message], "max_tokens": 30}
                ).raise_for_status()


def compare(url: str, until: float, tally: Tally) -> None:
    """Comparisons one after the other, each deleted when it is over."""
    arms = [
        {"name": "greedy", "strategy": {"kind": "greedy"}},
        {"name": "vote", "strategy": {"kind": "self_consistency", "samples": 3}},
    ]
    drawn = {"source": "corpus", "split": "train", "ops": [1, 3], "count": 20}
    spec = {"arms": arms, "problems": drawn, "max_tokens": 40, "latency_problems": 0}
    with httpx2.Client(base_url=url, timeout=300) as http:
        while time.monotonic() < until:
            tally.counts["comparison"] += 1
            id = http.post("/v1/compare", json=spec).raise_for_status().json()["id"]
            while http.get(f"/v1/compare/{id}").json()["status"] in ("queued", "running"):
                if time.monotonic() > until:
                    http.post(f"/v1/compare/{id}/cancel").raise_for_status()
                time.sleep(0.5)
            http.get(f"/v1/compare/{id}/report.html").raise_for_status()
            http.delete(f"/v1/compare/{id}").raise_for_status()


def busy(server: Served, asked: list[dict[str, Any]], right: list[str], seconds: float, tally: Tally) -> None:
    """Everything at once, for so long; returns at rest."""
    until = time.monotonic() + seconds
    comparing = threading.Thread(target=compare, args=[server.url, until, tally])
    comparing.start()
    with ThreadPoolExecutor(CLIENTS) as clients:
        begun = [
            clients.submit(client, server.url, asked, right, seed, until, tally) for seed in range(CLIENTS)
        ]
        for each in begun:
            if (error := each.exception()) is not None:
                tally.fault(f"{type(error).__name__}: {error}")
    comparing.join()
    names = ("demur_rows_in_use", "demur_requests_waiting", "demur_requests_active")
    while any(server.metric(name) for name in names):
        time.sleep(0.2)
    time.sleep(9.0)  # connections that were kept (5 s) are closed, garbage is collected


def soak(server: Served, seconds: float, megabytes: float, seed: int, console: Console) -> list[str]:
    """What did not hold."""
    tally = Tally()
    with httpx2.Client(base_url=server.url, timeout=300) as http:
        asked = requests_of(http, Random(seed))
        right = [text_of(http, body) for body in asked]
    busy(server, asked, right, seconds / 5, tally)
    first = server.standing()
    busy(server, asked, right, seconds * 4 / 5, tally)
    last = server.standing()
    console.print(f"{len(asked) // SEEDS} strategies; done: {dict(tally.counts)}")
    for name, before in first.items():
        console.print(f"{name}: {before:,} after a fifth of the time, {last[name]:,} at the end")
        room = megabytes * 2**20 if name == "memory" else 0
        if last[name] > before + room:
            tally.fault(f"{name} grew from {before} to {last[name]}")
    server_errors = sum(server.metric(name) for name in ("demur_requests_failed_total",))
    if server_errors:
        tally.fault(f"{server_errors:g} generations failed")
    return tally.faults


def main() -> None:
    """Soak, print, and fail if something did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with served("--checkpoint", str(arguments.checkpoint)) as server:
        faults = soak(server, arguments.seconds, arguments.megabytes, arguments.seed, console)
    for fault in faults[:20]:
        console.print(f"NOT MET: {fault}")
    console.print(f"{len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
