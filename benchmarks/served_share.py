"""How much of the engine's speed is left over HTTP, and how evenly do the tokens come?

Two processes hold the same checkpoint: `demur serve`, and a bare engine whose streams are collected without
HTTP. In turns both write the same completions, N at once. Printed are tokens per second of
both, the server's processor time per token over the engine's, and what the clients saw: time to first token
and time between tokens.

    python benchmarks/served_share.py [--streams 32] [--tokens 128] [--rounds 5] [--checkpoint FOLDER]
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.arrivals import arrivals
from benchmarks.served import Served, served
from models.checkpoint import load

PROMPT = "The number of each"
PROCESSOR = "process_cpu_seconds_total"


@dataclass(frozen=True)
class Turn:
    """What one turn brought. Times in seconds; `gaps` are those between two tokens of a stream."""

    seconds: float
    processor_seconds: float
    tokens: int
    first: list[float]
    gaps: list[float]

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def milliseconds_per_token(self) -> float:
        return 1000 * self.processor_seconds / self.tokens


async def over_http(server: Served, streams: int, tokens: int, seed: int) -> Turn:
    """All streams at once."""
    port = int(server.url.rsplit(":", 1)[1])
    before, began = server.metric(PROCESSOR), time.perf_counter()
    body = {"prompt": PROMPT, "max_tokens": tokens, "ignore_eos": True}
    bodies = [body | {"seed": seed + number} for number in range(streams)]
    arrived = await asyncio.gather(*(arrivals(port, each) for each in bodies))
    seconds = time.perf_counter() - began
    return Turn(
        seconds=seconds,
        processor_seconds=server.metric(PROCESSOR) - before,
        tokens=streams * tokens,
        first=[each[0] - began for each in arrived],
        gaps=[gap for each in arrived for gap in np.diff(each).tolist()],
    )


@contextmanager
def bare_engine(checkpoint: Path, rows: int) -> Generator["Connection[Any, Any]"]:
    """A process of its own with an engine: send it (streams, tokens, seed), and it answers with a `Turn`."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(checkpoint, rows, there))
    process.start()
    try:
        yield here
    finally:
        here.send(None)
        process.join()


def _write(checkpoint: Path, rows: int, orders: "Connection[Any, Any]") -> None:
    torch.set_num_threads(1)
    loaded = load(checkpoint)
    with Engine(loaded, EngineLimits(max_rows=rows)) as engine:
        prompt = tuple(loaded.tokenizer.encode(PROMPT))
        while order := orders.recv():
            streams, tokens, seed = order
            stopping = StoppingParams(max_tokens=tokens, ignore_eos=True)
            asked = [
                GenerationRequest(prompt, Sample(), SamplingParams(), stopping, seed=seed + number)
                for number in range(streams)
            ]
            processor, began = time.process_time(), time.perf_counter()
            for each in engine.submit_all(asked):
                each.collect()
            seconds = time.perf_counter() - began
            orders.send(Turn(seconds, time.process_time() - processor, streams * tokens, [], []))


def main(
    streams: Annotated[int, typer.Option(help="Completions at once.")] = 32,
    tokens: Annotated[int, typer.Option(help="Of each.")] = 128,
    rounds: Annotated[int, typer.Option(help="Turns of both.")] = 5,
    checkpoint: Annotated[Path, typer.Option(help="A checkpoint's folder.")] = EMBEDDED_CHECKPOINT,
) -> None:
    """Compare and print."""
    http_turns: list[Turn] = []
    bare: list[Turn] = []
    os.environ["OMP_NUM_THREADS"] = "1"  # of the server, as of the engine
    flags = ("--checkpoint", str(checkpoint), "--max-rows", str(streams))
    with served(*flags) as server, bare_engine(checkpoint, streams) as engine:
        for seed in range(rounds + 1):
            http_turns.append(asyncio.run(over_http(server, streams, tokens, seed * streams)))
            engine.send((streams, tokens, seed * streams))
            bare.append(engine.recv())
    # The first turn of each warms up.
    pairs = list(zip(http_turns[1:], bare[1:], strict=True))
    speeds = [http.tokens_per_second / direct.tokens_per_second for http, direct in pairs]
    costs = [http.milliseconds_per_token / direct.milliseconds_per_token for http, direct in pairs]
    typer.echo(f"{streams} streams of {tokens} tokens, {rounds} turns")
    typer.echo(f"engine: {_three([direct.tokens_per_second for _, direct in pairs])} tokens/s")
    typer.echo(f"over HTTP: {_three([http.tokens_per_second for http, _ in pairs])} tokens/s")
    typer.echo(f"share: {_three(speeds)}")
    typer.echo(f"processor time per token, engine: {_three([b.milliseconds_per_token for _, b in pairs])} ms")
    typer.echo(f"processor time per token, server: {_three([a.milliseconds_per_token for a, _ in pairs])} ms")
    typer.echo(f"processor time, server over engine: {_three(costs)}")
    first = np.array([each for http, _ in pairs for each in http.first]) * 1000
    gaps = np.array([gap for http, _ in pairs for gap in http.gaps]) * 1000
    typer.echo(f"time to first token: median {median(first):.0f} ms, 99% {np.quantile(first, 0.99):.0f} ms")
    typer.echo(f"between two tokens: median {median(gaps):.1f} ms, 99% {np.quantile(gaps, 0.99):.1f} ms")


def _three(values: list[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    typer.run(main)
