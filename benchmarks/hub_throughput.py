"""How many tokens does a processor second give of a model of another make, here and by transformers?

The engine, greedy and with every signal, against `generate` on a static batch of the same prompts, in turns
in one process. Ratios count; times drift with what else the machine does. With `--gguf` also against
llama.cpp, by the package xllamacpp, which is not among the dependencies; the file should hold the folder's
weights in the dtype that is measured.

    python benchmarks/hub_throughput.py FOLDER [--threads 1 --threads 2] [--dtype float32 --dtype bfloat16]
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from itertools import product
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


def greedy(texts: Texts, tokens: int, signals: tuple[str, ...]) -> list[GenerationRequest]:
    """Requests for completions of so many tokens, whatever they are."""
    return [
        GenerationRequest(
            prompt_ids=tuple(ids),
            strategy=Greedy(),
            sampling=SamplingParams(temperature=0.0),
            stopping=StoppingParams(max_tokens=tokens, ignore_eos=True),
            signals=signals,
        )
        for ids in texts
    ]


def with_engine(engine: Engine, texts: Texts, tokens: int, signals: tuple[str, ...]) -> int:
    """Complete all at once; the number of tokens that were written."""
    streams = engine.submit_all(greedy(texts, tokens, signals))
    return sum(collect(stream).usage.completion_tokens for stream in streams)


@torch.inference_mode()
def with_generate(network: Any, texts: Texts, tokens: int, **options: Any) -> int:
    """The same by transformers, with further options of `generate`."""
    ids = torch.tensor(texts, device=network.device)
    written = network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        repetition_penalty=1.0,
        pad_token_id=0,
        **options,
    )
    return int(written.shape[0] * (written.shape[1] - ids.shape[1]))


def llama_server(file: Path, batch: int, context: int, threads: int) -> Any:
    """llama.cpp in this process, with room for a batch of so many tokens each."""
    xllamacpp = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_parallel, params.n_ctx, params.n_gpu_layers, params.verbosity = batch, batch * context, 0, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


def with_llama(server: Any, texts: Texts, tokens: int) -> int:
    """The same by llama.cpp."""
    asked = {"prompt": texts, "n_predict": tokens, "temperature": 0, "ignore_eos": True}
    answer = server.handle_completions({**asked, "cache_prompt": False})
    assert len(answer["choices"]) == len(texts)
    return len(texts) * tokens


def rate(work: Callable[[], int], clock: Callable[[], float] = time.process_time) -> float:
    """Tokens that the work writes in a second of the clock."""
    began = clock()
    return work() / (clock() - began)


Way = Callable[[Texts], int]


def compare(ways: Mapping[str, Way], batch: int, length: int, vocab_size: int, rounds: int) -> str:
    """Rates of all ways, one after the other a few times, and of all but the first their ratio to it."""
    found: list[list[float]] = []
    for number in range(rounds):
        # Other prompts each time, as the engine keeps what it has read.
        seeds = range(number * len(ways), (number + 1) * len(ways))
        texts = [prompts(batch, length, vocab_size, seed) for seed in seeds]
        found.append([rate(partial(way, each)) for way, each in zip(ways.values(), texts, strict=True)])
    parts: list[str] = []
    for place, name in enumerate(ways):
        rates, ratios = [each[place] for each in found], [each[place] / each[0] for each in found]
        span = f" ({median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f})" if place else ""
        parts.append(f"{median(rates):.1f} {name}{span}")
    return ", ".join(parts)


def main(
    folder: Path,
    batch: Annotated[list[int] | None, typer.Option()] = None,
    threads: Annotated[list[int] | None, typer.Option()] = None,
    dtype: Annotated[list[str] | None, typer.Option()] = None,
    tokens: int = 24,
    length: Annotated[int, typer.Option(help="Tokens of a prompt.")] = 32,
    rounds: int = 3,
    gguf: Annotated[Path | None, typer.Option(help="The same weights for llama.cpp.")] = None,
) -> None:
    """Measure, and print a line for each case: tokens per processor second, and ratios to `generate`."""
    from transformers import AutoModelForCausalLM

    for precision in dtype or ["float32", "bfloat16"]:
        loaded = checkpoint.load(folder, "cpu", cast(Precision, precision))
        network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision)).eval()
        for number, rows in product(threads or [1, 2], batch or [1, 8, 32]):
            torch.set_num_threads(number)
            with Engine(loaded) as engine:
                ways: dict[str, Way] = {
                    "by generate": partial(with_generate, network, tokens=tokens),
                    "with all signals": partial(with_engine, engine, tokens=tokens, signals=tuple(SIGNALS)),
                    "without": partial(with_engine, engine, tokens=tokens, signals=()),
                }
                if gguf is not None:
                    server = llama_server(gguf, rows, length + tokens + 1, number)
                    ways["by llama.cpp"] = partial(with_llama, server, tokens=tokens)
                found = compare(ways, rows, length, loaded.model.spec.vocab_size, rounds)
                typer.echo(f"{precision:9} threads {number}, batch {rows:2}: {found}")


if __name__ == "__main__":
    typer.run(main)
