"""What rate of requests does a server hold, and what does it do at twice that rate?

Starts `demur serve` and sends it problems as they would come from many people: at random times (Poisson), one
that waits holds up none that comes after. The highest rate is searched at which 99 of 100 answers are there
within the limit. At twice that rate a server has to refuse some; the rest should be answered as many and as
quickly, and a refusal should come at once. So the server is told to let nobody wait for more than a quarter
of the limit (`--max-queue-seconds`); the rest is for writing the answer. Goodput is answers within the limit,
per second.

    python -m benchmarks.load [--seconds 20] [--limit 2] [--rows 32] [--first-rate 4] [--checkpoint FOLDER]
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from rich.console import Console

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import served
from benchmarks.thin_client import ThinClient
from models.corpora.registry import corpus_named

BISECTIONS = 4
GROWTH = 1.5
REFUSED_SECONDS = 0.05
"""In which 99 of 100 refusals are there."""

WAITED_IN_VAIN = b"has waited for"
"""Of the message of a request that was taken, but could not begin: its refusal comes as late as it may."""

KEPT = 0.9
"""Goodput at twice the rate, by the peak, that is asked for."""


@dataclass(frozen=True)
class Outcome:
    """One request: its status, seconds to the end of its answer, and whether it waited before a refusal."""

    status: int
    seconds: float
    in_vain: bool


@dataclass(frozen=True)
class Load:
    """What came of a rate."""

    rate: float
    seconds: float
    outcomes: Sequence[Outcome]

    def answered(self) -> list[float]:
        return [each.seconds for each in self.outcomes if each.status == 200]

    def refused(self) -> list[float]:
        return [each.seconds for each in self.outcomes if each.status == 429]

    def refused_late(self) -> float:
        """The 99th percentile of all refusals; 0 without any."""
        times = self.refused()
        return float(np.quantile(times, 0.99, method="higher")) if times else 0.0

    def late(self) -> float:
        """The 99th percentile of all answers; one that is refused is never there."""
        times = self.answered() + [float("inf")] * (len(self.outcomes) - len(self.answered()))
        return float(np.quantile(times, 0.99, method="higher")) if times else float("inf")

    def goodput(self, limit: float) -> float:
        """Answers within the limit, per second."""
        return sum(each <= limit for each in self.answered()) / self.seconds

    def told(self, limit: float) -> str:
        refused = self.refused()
        others = len(self.outcomes) - len(self.answered()) - len(refused)
        slowest = ""
        if refused:
            middle, at_most = 1000 * np.median(refused), 1000 * max(refused)
            in_vain = sum(each.in_vain for each in self.outcomes)
            slowest = (
                f" (median {middle:.0f} ms, p99 {1000 * self.refused_late():.0f} ms, "
                f"at most {at_most:.0f} ms; {in_vain} had waited)"
            )
        middle = f"median {np.median(self.answered()):.2f} s, " if self.answered() else ""
        return (
            f"{self.rate:6.1f} requests/s: {middle}p99 {self.late():.2f} s, "
            f"goodput {self.goodput(limit):.1f}/s, {len(refused)} of {len(self.outcomes)} refused{slowest}, "
            f"{others} otherwise"
        )


async def send(url: str, rate: float, seconds: float, problems: Sequence[str], random: Random) -> Load:
    """Requests at random times at this rate, and what came of each."""
    async with ThinClient(url) as http, asyncio.timeout(seconds + 120):

        async def ask(index: int) -> Outcome:
            body = {"prompt": problems[index % len(problems)], "seed": index, "max_tokens": 100}
            began = time.perf_counter()
            status, content = await http.post("/v1/completions", json.dumps(body).encode())
            return Outcome(status, time.perf_counter() - began, WAITED_IN_VAIN in content)

        begun: list[asyncio.Task[Outcome]] = []
        now, ends = time.perf_counter(), time.perf_counter() + seconds
        while now < ends:
            begun.append(asyncio.create_task(ask(len(begun))))
            now += random.expovariate(rate)
            await asyncio.sleep(max(0.0, now - time.perf_counter()))
        outcomes = await asyncio.gather(*begun)
    return Load(rate, seconds, outcomes)


def highest(url: str, arguments: argparse.Namespace, problems: Sequence[str], console: Console) -> list[Load]:
    """Loads up to and around the highest rate that is held; the last of them that held is the answer."""
    random, tried = Random(arguments.seed), list[Load]()

    def holds(rate: float) -> bool:
        tried.append(asyncio.run(send(url, rate, arguments.seconds, problems, random)))
        console.print(tried[-1].told(arguments.limit))
        return tried[-1].late() <= arguments.limit

    low, high = 0.0, arguments.first_rate
    while holds(high):
        low, high = high, high * GROWTH
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return tried


def main() -> None:
    """Search, double, and fail if the doubled rate costs more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="of each rate")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds in which an answer is good")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--first-rate", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    random, corpus = Random(arguments.seed), corpus_named()
    problems = [corpus.draw(random, "test", 3 + index % 3).prompt for index in range(200)]
    flags = ("--checkpoint", str(arguments.checkpoint), "--max-rows", str(arguments.rows))
    with served(*flags) as server:
        asyncio.run(send(server.url, arguments.first_rate, 3, problems, random))  # caches
        tried = highest(server.url, arguments, problems, console)
    held = [load for load in tried if load.late() <= arguments.limit]
    if not held:
        console.print(f"even {min(load.rate for load in tried):.2f} requests/s are too many")
        sys.exit(1)
    best = max(held, key=lambda load: load.rate)
    peak = max(load.goodput(arguments.limit) for load in tried)
    with served(*flags, "--max-queue-seconds", str(arguments.limit / 4)) as server:
        asyncio.run(send(server.url, best.rate / 2, 3, problems, random))
        doubled = asyncio.run(send(server.url, 2 * best.rate, arguments.seconds, problems, random))
    console.print(f"held: {best.told(arguments.limit)}\nat twice that rate: {doubled.told(arguments.limit)}")
    kept, late = doubled.goodput(arguments.limit) / peak, doubled.refused_late()
    console.print(
        f"goodput is {kept:.0%} of the peak's {peak:.1f}/s; 99 of 100 refusals within {1000 * late:.0f} ms"
    )
    sys.exit(kept < KEPT or late > REFUSED_SECONDS)


if __name__ == "__main__":
    main()
