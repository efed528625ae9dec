"""How much longer does a live request take while a comparison keeps the engine full?

Live requests come one after the other, each with a problem of its own, and write as many tokens each. In a
quiet round there is nothing beside them; in a busy one there are as many requests in the background, all arms
of a problem together, as keep every row taken. Quiet and busy rounds alternate, so that whatever else the
machine does hits both alike. The ratio of the medians has a 95% bootstrap interval, over pairs of rounds.
Processor time of this process stands beside time by the clock: on a machine that is busy with other things it
tells what the engine did meanwhile, with torch on one thread.

    python benchmarks/compare_live.py [--rounds 6] [--requests 6] [--rows 32] [--threads 1]
"""

import argparse
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample, SelfConsistency
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.measure.asking import collect
from app.settings import EMBEDDED_CHECKPOINT
from models.checkpoint import LoadedCheckpoint, load
from models.corpora.registry import corpus_named

RESAMPLES = 10_000
LIVE_TOKENS = 60
PROBLEMS = 400
ARMS: tuple[Runnable, ...] = (
    Greedy(),
    Sample(),
    SelfConsistency(samples=4, batch=4),
)


@dataclass(frozen=True)
class Latency:
    """Seconds to the first token and to the last, and of the processor to the last."""

    first: float
    last: float
    processor: float


class Problems:
    """Prompts of the test split, as token ids. Drawn beforehand, since that takes time too."""

    def __init__(self, checkpoint: LoadedCheckpoint, seed: int) -> None:
        random, corpus = Random(seed), corpus_named()
        problems = [corpus.draw(random, "test", 3 + index % 3) for index in range(PROBLEMS)]
        self._prompts = cycle(tuple(checkpoint.tokenizer.encode_prompt(each.prompt)) for each in problems)

    def next(self) -> tuple[int, ...]:
        return next(self._prompts)


def request(prompt: tuple[int, ...], strategy: Runnable, seed: int, background: bool) -> GenerationRequest:
    return GenerationRequest(
        prompt_ids=prompt,
        strategy=strategy,
        sampling=SamplingParams(temperature=1.0),
        # Live ones write as many tokens each, so that problems of different length compare.
        stopping=StoppingParams(120) if background else StoppingParams(LIVE_TOKENS, ignore_eos=True),
        seed=seed,
        background=background,
    )


def solve(engine: Engine, prompt: tuple[int, ...], seed: int) -> Latency:
    """Ask for one live completion and wait for it."""
    began, worked = time.perf_counter(), time.process_time()
    stream = engine.submit(request(prompt, Sample(), seed, background=False))
    next(stream)
    first = time.perf_counter() - began
    collect(stream)
    return Latency(first, time.perf_counter() - began, time.process_time() - worked)


@contextmanager
def comparison(engine: Engine, problems: Problems, rows: int) -> Generator[None]:
    """Background requests, all arms of a problem together, that keep every row taken while it lasts."""
    stopping = threading.Event()
    under_way: list[Stream] = []

    def fill() -> None:
        while not stopping.is_set():
            prompt = problems.next()
            under_way.extend(
                engine.submit(request(prompt, arm, seed, background=True)) for seed, arm in enumerate(ARMS)
            )
            if len(under_way) > rows:
                under_way.pop(0).collect()

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        while engine.stats().rows_in_use < rows:
            time.sleep(0.01)
        yield
    finally:
        stopping.set()
        for stream in list(under_way):
            stream.cancel()
        thread.join()
        for stream in under_way:
            stream.cancel()


Rounds = Sequence[Sequence[float]]


def interval(quiet: Rounds, busy: Rounds) -> tuple[float, float, float]:
    """Ratio of the medians, busy by quiet, and its 95% interval, from pairs of rounds drawn again."""
    ratios = np.array(
        [
            np.median(np.concatenate([busy[i] for i in rounds]))
            / np.median(np.concatenate([quiet[i] for i in rounds]))
            for rounds in np.random.default_rng(0).integers(0, len(quiet), (RESAMPLES, len(quiet)))
        ]
    )
    value = np.median(np.concatenate(busy)) / np.median(np.concatenate(quiet))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(value), float(low), float(high)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--requests", type=int, default=6, help="live requests per round and condition")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checkpoint = load(arguments.checkpoint)
    problems, behind = Problems(checkpoint, 0), Problems(checkpoint, 1)
    quiet: list[list[Latency]] = []
    busy: list[list[Latency]] = []

    def one_round(engine: Engine) -> list[Latency]:
        return [solve(engine, problems.next(), seed) for seed in range(arguments.requests)]

    with Engine(checkpoint, EngineLimits(max_rows=arguments.rows)) as engine:
        one_round(engine)
        for _ in range(arguments.rounds):
            quiet.append(one_round(engine))
            with comparison(engine, behind, arguments.rows):
                before = engine.stats().drawn_tokens
                busy.append(one_round(engine))
                drawn = engine.stats().drawn_tokens - before - arguments.requests * LIVE_TOKENS
                Console().print(
                    f"{drawn} background tokens beside {arguments.requests} times {LIVE_TOKENS} live ones"
                )
    report(quiet, busy)


def report(quiet: Sequence[Sequence[Latency]], busy: Sequence[Sequence[Latency]]) -> None:
    """Print medians and 95th percentiles, and their ratio."""
    table = Table(title="Live requests, one after the other")
    for heading in ("", "quiet", "with a comparison", "ratio of medians (95% interval)"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, part in (("first token", "first"), ("answer", "last"), ("answer, processor", "processor")):
        calm = [[getattr(each, part) for each in each_round] for each_round in quiet]
        full = [[getattr(each, part) for each in each_round] for each_round in busy]
        value, low, high = interval(calm, full)
        cells = [
            f"median {1000 * np.median(np.concatenate(rounds)):.0f} ms, "
            f"p95 {1000 * np.quantile(np.concatenate(rounds), 0.95):.0f} ms"
            for rounds in (calm, full)
        ]
        table.add_row(name, *cells, f"{value:.2f} ({low:.2f} to {high:.2f})")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
