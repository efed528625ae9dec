"""What does the engine cost over a bare loop on the model?

Tokens per second of the engine (requests, strategies, sampling, streams) against a loop that does
nothing but `LanguageModel.step` and argmax, on the same model, prompts and lengths, in turns in one
process. Ratios of one run count; rates drift from run to run.

    python benchmarks/decode_overhead.py [CHECKPOINT] [--tokens 128] [--repeats 5]

Without a checkpoint: a random network of the size of the embedded one.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest, RequestDone, Served
from models.checkpoint import load
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config
from models.language_model import LanguageModel, PrefillRow

PROMPT_LENGTH = 60
BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class NumberTokenizer:
    """Text for a network without a tokenizer."""

    vocab_size: int
    special_ids: frozenset[int] = frozenset()

    @property
    def vocabulary(self) -> list[bytes]:
        return [b" %d" % token_id for token_id in range(self.vocab_size)]

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError(f"numbers have no text, so not {text!r} either")


@dataclass(frozen=True)
class RandomCheckpoint:
    """A network that was never trained."""

    model: LanguageModel[Any]
    tokenizer: NumberTokenizer
    card: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Variant:
    """A way to use the engine."""

    name: str
    strategy: Runnable
    sampling: SamplingParams
    signals: tuple[str, ...] = ()
    top_logprobs: int = 0
    streamed: bool = True


VARIANTS = (
    Variant("greedy, not streamed", Greedy(), SamplingParams(), streamed=False),
    Variant("greedy", Greedy(), SamplingParams()),
    Variant("sample", Sample(), SamplingParams()),
    Variant("sample, entropy + varentropy", Sample(), SamplingParams(), ("entropy", "varentropy")),
    Variant(
        "sample, top_p 0.9, min_p, signals, 5 logprobs",
        Sample(),
        SamplingParams(temperature=0.8, top_p=0.9, min_p=0.02),
        ("entropy", "varentropy", "margin"),
        5,
    ),
)


def random_checkpoint(vocab_size: int = 640) -> RandomCheckpoint:
    torch.manual_seed(0)
    network = GPT2(GPT2Config(vocab_size)).eval()
    with torch.no_grad():
        network.token_embedding.weight.mul_(0.2)
    return RandomCheckpoint(Decoder(network, "random", None), NumberTokenizer(vocab_size))


def prompts(batch: int, vocab_size: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(batch)
    ids = torch.randint(1, vocab_size, (batch, PROMPT_LENGTH), generator=generator)
    return [tuple(row) for row in ids.tolist()]


@torch.inference_mode()
def bare_loop(model: LanguageModel[Any], batch: int, tokens: int) -> None:
    """Prefill, then step and argmax."""
    cache = model.new_cache(batch, PROMPT_LENGTH + tokens)
    rows = [PrefillRow(slot, 0, ids) for slot, ids in enumerate(prompts(batch, model.spec.vocab_size))]
    ids = model.prefill(cache, rows).logits.argmax(-1)
    for position in range(PROMPT_LENGTH, PROMPT_LENGTH + tokens - 1):
        ids = model.step(cache, ids.tolist(), range(batch), [position] * batch).logits.argmax(-1)


def through_engine(engine: Engine, variant: Variant, batch: int, tokens: int) -> None:
    stopping = StoppingParams(tokens, ignore_eos=True)
    streams = [
        engine.submit(
            GenerationRequest(
                ids,
                variant.strategy,
                variant.sampling,
                stopping,
                signals=variant.signals,
                top_logprobs=variant.top_logprobs,
            )
        )
        for ids in prompts(batch, engine.model.spec.vocab_size)
    ]
    for stream in streams:
        items = iter(stream) if variant.streamed else stream.collect()
        assert isinstance(deque(items, maxlen=1).pop(), RequestDone)


def seconds(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main(
    checkpoint: Annotated[Path | None, typer.Argument(help="A checkpoint folder.")] = None,
    tokens: Annotated[int, typer.Option(help="Tokens per row.")] = 128,
    repeats: Annotated[int, typer.Option(help="Turns; medians are reported.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Print tokens/s of the bare loop and of the engine as a share of it."""
    torch.set_num_threads(threads)
    served: Served = random_checkpoint() if checkpoint is None else load(checkpoint)
    spec = served.model.spec
    table = Table(title=f"{spec.name}: {spec.parameters / 1e6:.1f}M parameters, {threads} thread(s)")
    table.add_column("tokens/s (share of the bare loop)")
    for batch in BATCHES:
        table.add_column(f"batch {batch}", justify="right")
    with Engine(served, EngineLimits(max_rows=max(BATCHES))) as engine:
        columns = [measure(engine, served.model, batch, tokens, repeats) for batch in BATCHES]
    for row in zip(*columns, strict=True):
        name, *_ = (cell[0] for cell in row)
        table.add_row(name, *(cell[1] for cell in row))
    Console().print(table)


def measure(
    engine: Engine, model: LanguageModel[Any], batch: int, tokens: int, repeats: int
) -> list[tuple[str, str]]:
    """Name and cell of the bare loop and of every variant, measured in turns."""
    bare: list[float] = []
    times: dict[str, list[float]] = {variant.name: [] for variant in VARIANTS}
    for turn in range(repeats + 1):
        elapsed = seconds(lambda: bare_loop(model, batch, tokens))
        if turn:  # the first turn warms up
            bare.append(elapsed)
        for variant in VARIANTS:
            elapsed = seconds(lambda variant=variant: through_engine(engine, variant, batch, tokens))
            if turn:
                times[variant.name].append(elapsed)
    generated = batch * tokens
    cells = [("bare loop", f"{generated / median(bare):,.0f}")]
    for name, measured in times.items():
        share = median(mine / theirs for mine, theirs in zip(bare, measured, strict=True))
        cells.append((f"engine: {name}", f"{generated / median(measured):,.0f} ({share:.2f})"))
    return cells


if __name__ == "__main__":
    typer.run(main)
