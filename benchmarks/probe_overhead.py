"""What do probes and signals cost while a text is being written?

The engine's time per token with all probes, with all signals, and with both, against none of them: the same
requests, in turns in one process, so that a machine that slows down slows all of them. The ratio of each turn
is one measurement; median and quartiles of these are reported, since rates drift from run to run. On a busy
machine, --cpu-time counts this process's own time on the CPU instead.

    python benchmarks/probe_overhead.py [CHECKPOINT] [--tokens 128] [--repeats 15]

Probes are those stored for the checkpoint. Where there are none: random ones of realistic shape, eight linear
ones over one or two layers, half of them with signals, and one with sixty units, chosen by token.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from app.decoding.core.signals import PROBE_PREFIX, SIGNALS
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest, RequestDone, StreamItem
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import LoadedCheckpoint, load
from probes.inputs import FEATURES
from probes.position import Position
from probes.probe import Calibration, Probe
from probes.store import load_all

BATCHES = (1, 8, 32)
PROMPT_LENGTH = 60
NOUNS = 60


@dataclass(frozen=True)
class Variant:
    """What is asked for with every token."""

    name: str
    signals: tuple[str, ...]


def random_probes(checkpoint: LoadedCheckpoint) -> list[Probe]:
    """Probes that read at the start, the name, the marker and the end of a step."""
    tokenizer, spec = checkpoint.tokenizer, checkpoint.model.spec
    texts = {token_id: tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocab_size)}
    closing = tuple(token_id for token_id, text in texts.items() if text.rstrip().endswith(b"."))
    markers = tuple(token_id for token_id, text in texts.items() if text.strip() == b"=") or closing[:1]
    places = (
        Position("start", "read", closing),
        Position("name", "read", closing, read=1),
        Position("middle", "marker", closing, markers=markers),
        Position("end", "close", closing),
    )
    probes = [
        _random_probe(
            f"{place.name}_{count}", place, (spec.n_layers - 1, spec.n_layers)[-count:], spec.d_model
        )
        for place in places
        for count in (1, 2)
    ]
    question = Position("question", "prompt", closing)
    nouns = tuple(range(10, 10 + NOUNS))
    return [*probes, _random_probe("needed", question, (spec.n_layers,), spec.d_model, nouns)]


def _random_probe(
    name: str, position: Position, layers: tuple[int, ...], d_model: int, tokens: tuple[int, ...] = ()
) -> Probe:
    generator = np.random.default_rng(0)
    with_signals = len(layers) == 2
    inputs = len(layers) * d_model + (len(FEATURES) if with_signals else 0)
    units = len(tokens) or 1
    return Probe(
        name=name,
        position=position,
        layers=layers,
        weight=generator.normal(size=(units, inputs)) / inputs,
        bias=np.zeros(units),
        signals=with_signals,
        tokens=tokens,
        calibration=Calibration(slope=1.5, intercept=-1.0),
    )


def prompts(batch: int, vocab_size: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(batch)
    ids = torch.randint(1, vocab_size, (batch, PROMPT_LENGTH), generator=generator)
    return [tuple(row) for row in ids.tolist()]


def seconds(engine: Engine, variant: Variant, batch: int, tokens: int, clock: Callable[[], float]) -> float:
    """Time to write `batch` texts of `tokens` tokens, the same for every variant. They are collected,
    as answers that are not streamed."""
    start = clock()
    streams = [
        engine.submit(
            GenerationRequest(
                ids,
                Sample(),
                SamplingParams(),
                StoppingParams(tokens, ignore_eos=True),
                signals=variant.signals,
            )
        )
        for ids in prompts(batch, engine.model.spec.vocab_size)
    ]
    for items in asyncio.run(_collected(streams)):
        assert isinstance(items[-1], RequestDone)
    return clock() - start


async def _collected(streams: Sequence[Stream]) -> list[list[StreamItem]]:
    return await asyncio.gather(*(stream.collect_async() for stream in streams))


def measure(
    engine: Engine,
    variants: list[Variant],
    batch: int,
    tokens: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    """Seconds per variant and turn; the order changes from turn to turn."""
    times: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for turn in range(repeats + 1):
        shift = turn % len(variants)
        for variant in (*variants[shift:], *variants[:shift]):
            elapsed = seconds(engine, variant, batch, tokens, clock)
            if turn:  # the first turn warms up
                times[variant.name].append(elapsed)
    return times


def main(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint folder.")] = EMBEDDED_CHECKPOINT,
    tokens: Annotated[int, typer.Option(help="Tokens per row.")] = 128,
    repeats: Annotated[int, typer.Option(help="Turns; medians are reported.")] = 15,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Count time on the CPU, not on the clock.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where the model runs.")] = "cpu",
) -> None:
    """Print the time per token without probes and signals, and what each adds to it."""
    torch.set_num_threads(threads)
    clock = time.process_time if cpu_time else time.perf_counter
    loaded = load(checkpoint, device=device)
    folder = load_settings({"checkpoint": checkpoint}).probes_folder
    probes = [stored.probe for stored in load_all(folder, loaded)] if folder else random_probes(loaded)
    names = tuple(PROBE_PREFIX + probe.name for probe in probes)
    variants = [
        Variant("none", ()),
        Variant("all signals", tuple(SIGNALS)),
        Variant("all probes", names),
        Variant("all signals and probes", (*SIGNALS, *names)),
    ]
    kind = "stored" if folder else "random"
    table = Table(
        title=f"{loaded.model.spec.name} on {device}: {len(probes)} {kind} probes, {threads} thread(s)"
    )
    table.add_column("asked for")
    for batch in BATCHES:
        table.add_column(f"batch {batch}: ms per tick", justify="right")
        table.add_column("overhead (quartiles)", justify="right")
    with Engine(loaded, EngineLimits(max_rows=max(BATCHES)), probes) as engine:
        measured = [measure(engine, variants, batch, tokens, repeats, clock) for batch in BATCHES]
    for variant in variants:
        cells: list[str] = []
        for times in measured:
            mine, base = times[variant.name], times["none"]
            cells.append(f"{1000 * median(mine) / tokens:.2f}")
            ratios = [own / bare - 1 for own, bare in zip(mine, base, strict=True)]
            low, middle, high = quantiles(ratios, n=4)
            cells.append(f"{middle:+.1%} ({low:+.1%} to {high:+.1%})" if variant.signals else "")
        table.add_row(variant.name, *cells)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
