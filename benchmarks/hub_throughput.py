"""How many tokens does a processor second give of a model of another make, here and by transformers?

The engine, greedy and with every signal, against `generate` on a static batch of the same prompts, in turns
in one process. Ratios count; times drift with what else the machine does.

    python benchmarks/hub_throughput.py FOLDER [--threads 1 --threads 2] [--dtype float32 --dtype bfloat16]
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any, cast

import torch
import typer

from app.decoding.core.signals import SIGNALS
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.types import GenerationRequest
from app.measure.asking import collect
from models import checkpoint
from models.hub.dtypes import Precision

Texts = list[list[int]]


def prompts(batch: int, length: int, vocab_size: int, seed: int = 0) -> Texts:
    """Ids without a meaning, other ones in every row."""
    generator = torch.Generator().manual_seed(1000 * batch + seed)
    return torch.randint(3, vocab_size, (batch, length), generator=generator).tolist()


def with_engine(engine: Engine, texts: Texts, tokens: int, signals: tuple[str, ...]) -> int:
    """Complete all at once; the number of tokens that were written."""
    requests = [
        GenerationRequest(
            prompt_ids=tuple(ids),
            strategy=Greedy(),
            sampling=SamplingParams(temperature=0.0),
            stopping=StoppingParams(max_tokens=tokens, ignore_eos=True),
            signals=signals,
        )
        for ids in texts
    ]
    return sum(collect(stream).usage.completion_tokens for stream in engine.submit_all(requests))


@torch.inference_mode()
def with_generate(network: Any, texts: Texts, tokens: int) -> int:
    """The same by transformers."""
    ids = torch.tensor(texts, device=network.device)
    written = network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        repetition_penalty=1.0,
        pad_token_id=0,
    )
    return int(written.shape[0] * (written.shape[1] - ids.shape[1]))


def rate(work: Callable[[], int], clock: Callable[[], float] = time.process_time) -> float:
    """Tokens that the work writes in a second of the clock."""
    began = clock()
    return work() / (clock() - began)


def compare(engine: Engine, network: Any, batch: int, length: int, tokens: int, rounds: int) -> str:
    """Rates with all signals, without any, and of transformers, one after the other, a few times."""
    found: list[list[float]] = []
    for number in range(rounds):
        # Other prompts each time, as the engine keeps what it has read.
        vocab_size = engine.model.spec.vocab_size
        first, second, third = (prompts(batch, length, vocab_size, 3 * number + each) for each in range(3))
        ways = (
            partial(with_engine, engine, first, tokens, tuple(SIGNALS)),
            partial(with_engine, engine, second, tokens, ()),
            partial(with_generate, network, third, tokens),
        )
        found.append([rate(way) for way in ways])
    ratios = [each[0] / each[2] for each in found]
    signals, bare, theirs = (median(column) for column in zip(*found, strict=True))
    return (
        f"{signals:6.1f} tokens per processor second with all signals, {bare:6.1f} without, {theirs:6.1f} by "
        f"generate; ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main(
    folder: Path,
    batch: Annotated[list[int] | None, typer.Option()] = None,
    threads: Annotated[list[int] | None, typer.Option()] = None,
    dtype: Annotated[list[str] | None, typer.Option()] = None,
    tokens: int = 24,
    length: Annotated[int, typer.Option(help="Tokens of a prompt.")] = 32,
    rounds: int = 3,
) -> None:
    """Measure, and print a line for each case."""
    from transformers import AutoModelForCausalLM

    for precision in dtype or ["float32", "bfloat16"]:
        loaded = checkpoint.load(folder, "cpu", cast(Precision, precision))
        network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision)).eval()
        with Engine(loaded) as engine:
            for number in threads or [1, 2]:
                torch.set_num_threads(number)
                for rows in batch or [1, 8, 32]:
                    case = f"{precision:9} threads {number}, batch {rows:2}: "
                    typer.echo(case + compare(engine, network, rows, length, tokens, rounds))


if __name__ == "__main__":
    typer.run(main)
