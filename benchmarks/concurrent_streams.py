"""Do 32 streams at once say what they say one by one, and how much faster are they together?

Starts `demur serve` on a free port and calls it with the official client, streaming, over loopback. Every
request has its own problem and seed. It is sent once alone and once among all others; texts must be equal.
The rounds alternate, so that whatever else the machine does hits both alike.

    python benchmarks/concurrent_streams.py [--streams 32] [--rounds 3] [--checkpoint FOLDER]
"""

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from openai import AsyncOpenAI
from rich.console import Console
from rich.table import Table

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import served
from models.corpora.registry import corpus_named


@dataclass(frozen=True)
class Answer:
    """What a stream said, and how many tokens it took."""

    text: str
    tokens: int


async def ask(client: AsyncOpenAI, prompt: str, seed: int) -> Answer:
    """One streamed completion at temperature 1."""
    stream = await client.completions.create(
        model="igsm",
        prompt=prompt,
        seed=seed,
        temperature=1.0,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, tokens = "", 0
    async for chunk in stream:
        text += "".join(choice.text for choice in chunk.choices)
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return Answer(text, tokens)


async def one_by_one(client: AsyncOpenAI, prompts: list[str]) -> list[Answer]:
    """Each request alone."""
    return [await ask(client, prompt, seed) for seed, prompt in enumerate(prompts)]


async def together(client: AsyncOpenAI, prompts: list[str]) -> list[Answer]:
    """All requests at once."""
    return list(await asyncio.gather(*(ask(client, prompt, seed) for seed, prompt in enumerate(prompts))))


async def measure(url: str, prompts: list[str], rounds: int) -> tuple[list[float], list[float], int]:
    """Tokens per second alone and together, by round, and how many texts differed."""
    alone: list[float] = []
    joint: list[float] = []
    differing = 0
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        await together(client, prompts)
        for _ in range(rounds):
            began = time.perf_counter()
            first = await one_by_one(client, prompts)
            middle = time.perf_counter()
            second = await together(client, prompts)
            ended = time.perf_counter()
            tokens = sum(answer.tokens for answer in first)
            alone.append(tokens / (middle - began))
            joint.append(sum(answer.tokens for answer in second) / (ended - middle))
            differing += sum(a != b for a, b in zip(first, second, strict=True))
    return alone, joint, differing


def main() -> None:
    """Measure, print, and fail if a text differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    arguments = parser.parse_args()
    random = Random(0)
    corpus = corpus_named()
    prompts = [corpus.draw(random, "test", 3 + index % 3).prompt for index in range(arguments.streams)]
    with served("--checkpoint", str(arguments.checkpoint), "--max-rows", str(arguments.streams)) as server:
        alone, joint, differing = asyncio.run(measure(server.url, prompts, arguments.rounds))
    table = Table(title=f"{arguments.streams} streamed requests over HTTP, temperature 1")
    for heading in ("", "tokens/s, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, values in (("one by one", alone), ("all at once", joint)):
        table.add_row(name, *(f"{f(values):,.0f}" for f in (statistics.median, min, max)))
    console = Console()
    console.print(table)
    ratios = [b / a for a, b in zip(alone, joint, strict=True)]
    console.print(
        f"ratio by round: median {statistics.median(ratios):.1f}, {min(ratios):.1f} to {max(ratios):.1f}"
    )
    console.print(f"texts that differ: {differing} of {arguments.streams * arguments.rounds}")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
