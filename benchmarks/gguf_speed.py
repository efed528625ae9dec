"""What do signals and the engine cost on a GGUF?

Tokens of a processor second, greedy: the engine with every signal, and without, against a bare loop over
llama.cpp's own batches that takes the likeliest token and does nothing else, in turns in one process. Ratios
count; times drift with what else the machine does.

    python -m benchmarks.gguf_speed MODEL.gguf [--batch 1 --batch 8] [--tokens 64]
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from app.decoding.core.signals import SIGNALS
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from benchmarks.hub_throughput import Texts, Way, compare, with_engine
from models import checkpoint
from models.gguf.llama_context import PASS, LlamaContext
from models.gguf.llama_model import load_llama_model


def with_llama_cpp(context: LlamaContext, texts: Texts, tokens: int) -> int:
    """Complete all at once, prompts in one pass; the number of tokens that were written."""
    for sequence in range(context.sequences):
        context.cut(sequence, 0)
    rows, length = len(texts), len(texts[0])
    sequences = np.arange(rows, dtype=np.int32)
    wanted = np.zeros((rows, length), np.bool_)
    wanted[:, -1] = True
    logits = context.run(
        np.array(texts, np.int32).ravel(),
        sequences.repeat(length),
        np.tile(np.arange(length, dtype=np.int32), rows),
        wanted.ravel(),
    )
    everywhere = np.ones(rows, np.bool_)
    for place in range(tokens - 1):
        assert logits is not None
        chosen = logits.argmax(axis=1).astype(np.int32)
        logits = context.run(chosen, sequences, np.full(rows, length + place, np.int32), everywhere)
    return rows * tokens


def main(
    model: Path,
    batch: Annotated[list[int] | None, typer.Option()] = None,
    tokens: int = 64,
    length: Annotated[int, typer.Option(help="Tokens of a prompt.")] = 32,
    rounds: int = 5,
) -> None:
    """Measure, and print a line for each batch: tokens per processor second, and ratios to llama.cpp."""
    loaded, threads = checkpoint.load(model), torch.get_num_threads()
    weights = load_llama_model(model, "cpu")
    for rows in batch or [1, 8]:
        if rows * length > PASS:
            raise typer.BadParameter(f"{rows} prompts of {length} tokens are more than a pass of {PASS}")
        context = LlamaContext(weights, rows, rows * (length + tokens), threads)
        with Engine(loaded, EngineLimits(max_rows=rows, max_context=length + tokens)) as engine:
            ways: dict[str, Way] = {
                "by llama.cpp": partial(with_llama_cpp, context, tokens=tokens),
                "with all signals": partial(with_engine, engine, tokens=tokens, signals=tuple(SIGNALS)),
                "without": partial(with_engine, engine, tokens=tokens, signals=()),
            }
            found = compare(ways, rows, length, loaded.model.spec.vocab_size, rounds)
            quantisation = loaded.model.spec.quantisation
            typer.echo(f"{quantisation}, threads {threads}, batch {rows}: {found}")


if __name__ == "__main__":
    typer.run(main)
