"""How fast is the native step, against torch's path and against transformers?

Everything is measured in turns in one process, so that a machine that slows down slows all of it; a figure is
the median, over the turns, of how many times as long the other took, with its quartiles. On a busy machine,
--cpu-time counts this process's own time on the CPU instead.

- step, prefill: one call of the model over a cache whose rows hold 120 positions, or of 240 tokens.
- engine: tokens through the decoding engine, plain, and full: with entropy, varentropy and all stored probes.
- transformers: its `generate`, greedy, against the full engine.
- int8: native step and full engine with int8 weights, against those without, and transformers against them.
- signals and probes: the full engine against the plain one, both native; 1.02 is 2% more.

    python benchmarks/native_step.py [CHECKPOINT] [--batch 1 --batch 8] [--threads 1] [--turns 9]
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from benchmarks.probe_overhead import Variant, prompts, seconds
from models.checkpoint import LoadedCheckpoint, load
from models.language_model import LanguageModel, PrefillRow
from probes.store import load_all

BATCHES = [1, 8, 32]
FILLED, PREFILL = 120, 240
CALLS = {1: 30, 8: 10, 32: 5}
"""Calls of a model's step that are timed together."""

Work = Callable[[], object]


def steps(model: LanguageModel[Any], batch: int) -> Work:
    """Several steps of a batch, each at the same positions."""
    cache = model.new_cache(batch, FILLED + 1)
    ids = [token_id % model.spec.vocab_size for token_id in range(FILLED)]
    model.prefill(cache, [PrefillRow(slot, 0, tuple(ids)) for slot in range(batch)])
    slots, positions = list(range(batch)), [FILLED] * batch

    def work() -> None:
        for _ in range(CALLS[batch]):
            model.step(cache, ids[:batch], slots, positions)

    return work


def prefill(model: LanguageModel[Any]) -> Work:
    """One prompt."""
    cache = model.new_cache(1, PREFILL)
    row = PrefillRow(0, 0, tuple(token_id % model.spec.vocab_size for token_id in range(PREFILL)))
    return lambda: model.prefill(cache, [row])


def generate(folder: Path, batch: int, tokens: int) -> Work:
    """The same prompts by transformers."""
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor(prompts(batch, network.config.vocab_size))
    mask = torch.ones_like(ids)
    return lambda: network.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        pad_token_id=0,
    )


def ratio(slow: Work, fast: Work, turns: int, clock: Callable[[], float]) -> tuple[str, str]:
    """Milliseconds that the fast one takes at best, and how many times as long the slow one takes."""
    times: list[tuple[float, float]] = []
    for turn in range(turns + 1):
        pair: list[float] = []
        for work in (slow, fast):
            began = clock()
            work()
            pair.append(clock() - began)
        if turn:  # the first one warms up
            times.append((pair[0], pair[1]))
    ratios = [first / second for first, second in times]
    low, _, high = quantiles(ratios, n=4)
    return (
        f"{1000 * min(second for _, second in times):.2f}",
        f"{median(ratios):.2f} ({low:.2f} to {high:.2f})",
    )


def engine_of(loaded: LoadedCheckpoint, folder: Path) -> Engine:
    probes = load_settings({"checkpoint": folder}).probes_folder
    stored = load_all(probes, loaded) if probes else ()
    return Engine(loaded, EngineLimits(max_rows=max(BATCHES)), [each.probe for each in stored])


def main(
    checkpoint: Annotated[Path, typer.Argument(help="One of our own checkpoints.")] = EMBEDDED_CHECKPOINT,
    batch: Annotated[list[int], typer.Option(help="Rows that are computed together: 1, 8 or 32.")] = BATCHES,
    threads: Annotated[int, typer.Option(help="Threads of torch and of the native step.")] = 1,
    turns: Annotated[int, typer.Option(help="Times that each is measured.")] = 9,
    tokens: Annotated[int, typer.Option(help="Tokens of a text of the engine.")] = 64,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Count time on the CPU, not on the clock.")
    ] = False,
    against: Annotated[bool, typer.Option(help="Measure transformers too.")] = True,
) -> None:
    """Print how many times as fast the native step is."""
    torch.set_num_threads(threads)
    clock = time.process_time if cpu_time else time.perf_counter
    by_torch, native = (load(checkpoint, kernel=kernel) for kernel in ("torch", "native"))
    rounded = load(checkpoint, kernel="native", precision="int8")
    table = Table(title=f"{checkpoint.name}, {threads} thread(s), {'CPU' if cpu_time else 'wall'} time")
    for column in ("what", "native, ms at best", "times as fast (quartiles)"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for size in batch:
        name = f"{CALLS[size]} steps at batch {size}"
        table.add_row(name, *ratio(steps(by_torch.model, size), steps(native.model, size), turns, clock))
        pair = steps(native.model, size), steps(rounded.model, size)
        table.add_row(f"int8 over float32, {name}", *ratio(*pair, turns, clock))
    table.add_row("prefill", *ratio(prefill(by_torch.model), prefill(native.model), turns, clock))
    pair = prefill(native.model), prefill(rounded.model)
    table.add_row("int8 over float32, prefill", *ratio(*pair, turns, clock))
    plain = Variant("plain", ())
    with (
        engine_of(by_torch, checkpoint) as slow,
        engine_of(native, checkpoint) as fast,
        engine_of(rounded, checkpoint) as small,
    ):
        probes = tuple(name for name in fast.signals if name.startswith("probe:"))
        full = Variant("full", ("entropy", "varentropy", *probes))
        for size in batch:
            for variant in (plain, full):
                works = [
                    lambda engine=engine, variant=variant, size=size: seconds(
                        engine, variant, size, tokens, clock
                    )
                    for engine in (slow, fast)
                ]
                table.add_row(
                    f"engine, {variant.name}, batch {size}", *ratio(works[0], works[1], turns, clock)
                )
            both = [
                lambda variant=variant, size=size: seconds(fast, variant, size, tokens, clock)
                for variant in (full, plain)
            ]
            table.add_row(f"signals and probes, batch {size}", *ratio(both[0], both[1], turns, clock))
            of_int8 = partial(seconds, small, full, size, tokens, clock)
            name = f"int8 over float32, engine, full, batch {size}"
            table.add_row(name, *ratio(works[1], of_int8, turns, clock))
            if against:
                peer = generate(checkpoint, size, tokens)
                table.add_row(f"transformers, batch {size}", *ratio(peer, works[1], turns, clock))
                table.add_row(f"transformers over int8, batch {size}", *ratio(peer, of_int8, turns, clock))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
