"""What is spared by texts that are kept, and what keeping them costs where no prompt is like another.

Two engines over one model, one of which keeps nothing, answer the same requests in turn. First pairs of
prompts with a long beginning in common: the second one's time to its first token. Then prompts that have
nothing in common: processor time of it all.

    python -m benchmarks.prefix_cache FOLDER [--beginning 2000] [--repeats 5] [--apart 64]
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Annotated

import typer

from app.engine.engine import Engine
from app.engine.types import EngineLimits, TokenOut
from benchmarks.first_token import ask, first_token
from models import checkpoint

TAIL = 20
"""Tokens of a prompt after its beginning."""

WRITTEN = 32
"""Tokens that are written after each of the prompts that have nothing in common."""


def random_ids(random: Random, vocab_size: int, length: int) -> list[int]:
    """Those of a text that nobody else writes."""
    return random.choices(range(10, vocab_size), k=length)


@dataclass(frozen=True)
class Waited:
    """For a first token: seconds, and the processor's, which others on the machine disturb less."""

    seconds: float
    processor: float


def second_of_two(engine: Engine, beginning: list[int], tails: Sequence[list[int]]) -> Waited:
    """Until the second of two requests has its first token, after the first one has ended."""
    first_token(engine, beginning + tails[0])
    began = time.process_time()
    seconds = first_token(engine, beginning + tails[1])
    return Waited(seconds, time.process_time() - began)


def processor_seconds(engine: Engine, text: list[int]) -> tuple[float, list[int]]:
    """What it takes to go on with a text, and the tokens that come."""
    began = time.process_time()
    ids = [each.token.id for each in engine.submit(ask(text, WRITTEN)) if isinstance(each, TokenOut)]
    return time.process_time() - began, ids


def cost_of_keeping(keeping: Engine, forgetful: Engine, texts: Sequence[list[int]]) -> float:
    """Ratio of the processor time that it takes to go on with texts, in turn by both engines."""
    seconds = {keeping: 0.0, forgetful: 0.0}
    for number, text in enumerate(texts):
        order = (keeping, forgetful) if number % 2 else (forgetful, keeping)
        found = {engine: processor_seconds(engine, text) for engine in order}
        assert found[keeping][1] == found[forgetful][1], "their texts differ"
        for engine in order:
            seconds[engine] += found[engine][0]
    return seconds[keeping] / seconds[forgetful]


def spread(ratios: Sequence[float]) -> str:
    """The middle one, the least and the largest."""
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def main(
    folder: Path,
    beginning: Annotated[int, typer.Option(help="Tokens that two prompts have in common.")] = 2000,
    repeats: Annotated[int, typer.Option(help="Pairs of such prompts; and rounds of others.")] = 5,
    apart: Annotated[int, typer.Option(help="Prompts of a round that have nothing in common.")] = 64,
    length: Annotated[int, typer.Option(help="Tokens of each.")] = 64,
) -> None:
    """Measure, and print."""
    loaded = checkpoint.load(folder)
    vocab_size, random = loaded.model.spec.vocab_size, Random(0)
    with (
        Engine(loaded, EngineLimits()) as keeping,
        Engine(loaded, EngineLimits(prefix_cache_bytes=0)) as forgetful,
    ):
        if beginning + TAIL < keeping.context_length:
            spared: list[float] = []
            computed: list[float] = []
            for _ in range(repeats):
                common = random_ids(random, vocab_size, beginning)
                tails = [random_ids(random, vocab_size, TAIL) for _ in range(2)]
                with_it, without = (second_of_two(each, common, tails) for each in (keeping, forgetful))
                spared.append(with_it.seconds / without.seconds)
                computed.append(with_it.processor / without.processor)
                typer.echo(f"first token after {with_it.seconds:.2f} s, {without.seconds:.2f} s without")
            typer.echo(
                f"a beginning of {beginning} tokens again: {spread(spared)} times as long, "
                f"{spread(computed)} times the processor time"
            )
        rounds = [[random_ids(random, vocab_size, length) for _ in range(apart)] for _ in range(repeats)]
        cost = [cost_of_keeping(keeping, forgetful, texts) for texts in rounds]
        typer.echo(f"{apart} prompts with nothing in common: {spread(cost)} times the processor time")


if __name__ == "__main__":
    typer.run(main)
