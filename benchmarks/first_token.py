"""How long do short prompts wait for their first token beside long ones, of a model of another make?

Short prompts come one after the other, first to an idle engine, then to one that reads long prompts; the
ratio of their times is what counts. Then, if asked, how much memory rows full of long prompts take:

    python benchmarks/first_token.py FOLDER [--long 2000] [--rows 32]
"""

import resource
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest, TokenOut
from benchmarks.hub_throughput import prompts
from models import checkpoint


def memory() -> int:
    """What the process has in memory, in MB, by Linux's account."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6)


def ask(ids: list[int], tokens: int) -> GenerationRequest:
    """A greedy completion of so many tokens."""
    return GenerationRequest(
        prompt_ids=tuple(ids),
        strategy=Greedy(),
        sampling=SamplingParams(temperature=0.0),
        stopping=StoppingParams(max_tokens=tokens, ignore_eos=True),
    )


def first_token(engine: Engine, ids: list[int]) -> float:
    """Seconds until a request has its first token; it ends with that."""
    began, found = time.perf_counter(), 0.0
    for item in engine.submit(ask(ids, 1)):
        if isinstance(item, TokenOut):
            found = time.perf_counter() - began
    return found


def beside(engine: Engine, short: list[list[int]], long: list[list[int]]) -> tuple[list[float], int]:
    """Times of the short ones while the long ones are read, and how many of the latter had ended by then."""
    streams: list[Stream] = engine.submit_all([ask(ids, 1) for ids in long])
    times: list[float] = []
    for ids in short:
        time.sleep(0.2)
        times.append(first_token(engine, ids))
    ended = sum(stream.ended for stream in streams)
    for stream in streams:
        stream.cancel()
    return times, ended


def main(
    folder: Path,
    long: Annotated[int, typer.Option(help="Tokens of a long prompt.")] = 2000,
    short: Annotated[int, typer.Option(help="Tokens of a short one.")] = 32,
    count: Annotated[int, typer.Option(help="Short prompts.")] = 8,
    rows: Annotated[int, typer.Option(help="Long prompts that fill memory at last; 0 for none.")] = 0,
    context: Annotated[int | None, typer.Option(help="Positions of a row.")] = None,
) -> None:
    """Measure, and print."""
    loaded = checkpoint.load(folder)
    vocab_size = loaded.model.spec.vocab_size
    limits = EngineLimits(max_rows=max(32, rows), max_context=context)
    with Engine(loaded, limits) as engine, torch.inference_mode():
        typer.echo(f"ready: {memory()} MB, {engine.stats().max_context} positions a row")
        shorts = prompts(2 * count + 1, short, vocab_size)
        first_token(engine, shorts.pop())
        alone = [first_token(engine, ids) for ids in shorts[:count]]
        found, ended = beside(engine, shorts[count:], prompts(4, long, vocab_size))
        ratios = [each / median(alone) for each in found]
        typer.echo(
            f"first token of {short} tokens: {median(alone):.2f} s alone, {median(found):.2f} s beside "
            f"prompts of {long}, of which {4 - ended} were being read to the end; "
            f"{median(ratios):.1f} times as long, {max(ratios):.1f} at most"
        )
        if rows:
            for stream in engine.submit_all([ask(ids, 1) for ids in prompts(rows, long, vocab_size)]):
                list(stream)
            held = engine.stats().cache_bytes
            typer.echo(
                f"{rows} rows of {long} tokens: {memory()} MB, {held / 1e6:.0f} MB "
                f"of keys and values, of at most {engine.stats().most_cache_bytes / 1e6:.0f}"
            )


if __name__ == "__main__":
    typer.run(main)
