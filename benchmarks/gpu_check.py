"""Is a GPU right, repeatable and fast? One script for a machine that has one, at most eight minutes.

Compares its logits with the CPU's in float32, the same requests twice and in other company, and the tokens
per second of the engine with those of transformers' `generate`, and of vLLM where it is installed, on a Llama
of a billion random parameters and on a folder, if one is given:

    python -m benchmarks.gpu_check [--folder FOLDER] [--device cuda]
    python -m benchmarks.gpu_check --device cpu --quick        a rehearsal without a GPU
"""

import gc
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
import typer
from torch.profiler import ProfilerActivity, profile

from app.decoding.core.signals import SIGNALS
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from app.measure.asking import collect
from benchmarks.hub_throughput import Texts, prompts, rate, with_engine, with_generate
from models.hub.choosing import hub_model
from models.hub.loading import load_hub_network
from models.language_model import LanguageModel, PrefillRow

LONGEST_SECONDS = 480
PARITY = 1e-3
"""Of the largest absolute logit; the sums of another device's products round otherwise."""

STEPS = 20
"""That are timed."""

BILLION = {
    "vocab_size": 32_000,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096,
}
TINY = {
    **BILLION,
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Numbers:
    """A tokenizer for texts of which only the ids count."""

    vocab_size: int
    special_ids: Set[int] = field(default_factory=frozenset[int])

    @property
    def vocabulary(self) -> list[bytes]:
        """Of each id that in decimal."""
        return [f"{token_id} ".encode() for token_id in range(self.vocab_size)]

    def encode(self, text: str) -> list[int]:
        """The ids again."""
        return [int(word) for word in text.split()]


@dataclass(frozen=True)
class Loaded:
    """A model that an engine serves."""

    model: LanguageModel[Any]
    tokenizer: Numbers
    card: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Subject:
    """A network and how to have it once more: on a device, in a dtype."""

    name: str
    make: Callable[[str, torch.dtype], Any]

    def loaded(self, network: Any) -> Loaded:
        """As an engine serves it."""
        model = hub_model(network, self.name)
        return Loaded(model, Numbers(model.spec.vocab_size))


def random_llama(sizes: Mapping[str, int], device: str, dtype: torch.dtype) -> Any:
    """The same weights on every device: they are drawn on the CPU."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **sizes, initializer_range=0.05)
    network: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return network.to(dtype).to(device).eval().requires_grad_(False)


def of_folder(folder: Path, device: str, dtype: torch.dtype) -> Any:
    """The network of a checkpoint."""
    name: Any = str(dtype).removeprefix("torch.")
    return load_hub_network(folder, device, name)


@torch.inference_mode()
def last_logits(model: LanguageModel[Any]) -> torch.Tensor:
    """Of ragged rows after a prefill and two steps, on the CPU."""
    random, vocab_size = Random("parity"), model.spec.vocab_size
    texts = [random.choices(range(3, vocab_size), k=length) for length in (40, 3, 17, 90)]
    cache = model.new_cache(4, 128)
    seen = [model.prefill(cache, [PrefillRow(row, 0, tuple(ids)) for row, ids in enumerate(texts)]).logits]
    for turn in range(2):
        positions = [len(ids) + turn for ids in texts]
        seen.append(model.step(cache, [5 + turn] * 4, range(4), positions).logits)
    return torch.cat(seen).float().cpu()


def parity(subject: Subject, device: str) -> float:
    """Largest difference between the device and the CPU in float32, of the largest logit."""
    logits = [
        last_logits(subject.loaded(subject.make(each, torch.float32)).model) for each in ("cpu", device)
    ]
    return float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())


def drawn(engine: Engine, texts: Texts, tokens: int) -> list[list[int]]:
    """The ids that are drawn after each text, seed by seed."""
    requests = [
        GenerationRequest(
            prompt_ids=tuple(ids),
            strategy=Sample(),
            sampling=SamplingParams(temperature=0.8),
            stopping=StoppingParams(max_tokens=tokens, ignore_eos=True),
            seed=seed,
            signals=("entropy",),
        )
        for seed, ids in enumerate(texts)
    ]
    return [[token.id for token in collect(stream).done.tokens] for stream in engine.submit_all(requests)]


def with_vllm(folder: Path, texts: Texts, tokens: int) -> float:
    """Tokens per second of vLLM, which is not among the dependencies."""
    vllm = import_module("vllm")
    model = vllm.LLM(str(folder), gpu_memory_utilization=0.4, max_model_len=1024)
    params = vllm.SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True)
    given = [{"prompt_token_ids": ids} for ids in texts]
    model.generate(given, params, use_tqdm=False)
    began = time.perf_counter()
    model.generate(given, params, use_tqdm=False)
    return len(texts) * tokens / (time.perf_counter() - began)


@dataclass(frozen=True)
class Run:
    """How much is measured, and until when, on the clock of `time.monotonic`."""

    device: str
    batches: tuple[int, ...]
    tokens: int
    ends: float

    @property
    def dtype(self) -> torch.dtype:
        """In which speed is measured."""
        return torch.float32 if self.device == "cpu" else torch.bfloat16


def check(subject: Subject, run: Run) -> list[str]:
    """What is wrong with the device, by this model. Prints what is found."""
    wrong: list[str] = []
    far = parity(subject, run.device)
    typer.echo(f"{subject.name}: float32 logits differ from the CPU's by {far:.1e} of the largest")
    if not far <= PARITY:
        wrong.append(f"{subject.name}: logits are not those of the CPU")
    network = subject.make(run.device, run.dtype)
    loaded = subject.loaded(network)
    vocab_size = loaded.model.spec.vocab_size
    with Engine(loaded, EngineLimits(max_rows=max(run.batches), max_context=1024)) as engine:
        many = prompts(min(32, max(run.batches)), 24, vocab_size)
        together, again, alone = (drawn(engine, each, run.tokens) for each in (many, many, many[:1]))
        same = sum(ours == theirs for ours, theirs in zip(together, again, strict=True))
        typer.echo(
            f"{subject.name}: {same} of {len(many)} sampled texts are the same twice; the first one alone is "
            f"{'the same' if alone[0] == together[0] else 'another'}"
        )
        if same < len(many):
            wrong.append(f"{subject.name}: the same requests gave other texts")
        for batch in run.batches:
            if time.monotonic() > run.ends:
                typer.echo(f"{subject.name}: no time left for batch {batch}")
                break
            typer.echo(f"{subject.name}, batch {batch}: {speeds(engine, network, batch, run.tokens)}")
    if time.monotonic() < run.ends:
        typer.echo(compiling(subject, network, loaded.model, run))
    if time.monotonic() < run.ends:
        typer.echo(compiled(subject, network, loaded.model, run))
    return wrong


def speeds(engine: Engine, network: Any, batch: int, tokens: int) -> str:
    """Tokens per second of the clock, each after one run that does not count."""
    ways: dict[str, Callable[[Texts], int]] = {
        "with all signals": lambda texts: with_engine(engine, texts, tokens, tuple(SIGNALS)),
        "without": lambda texts: with_engine(engine, texts, tokens, ()),
        "by generate": lambda texts: with_generate(network, texts, tokens),
    }
    found: list[str] = []
    for number, (name, way) in enumerate(ways.items()):
        # Other prompts each time, as the engine keeps what it has read.
        first, second = (
            prompts(batch, 32, engine.model.spec.vocab_size, 2 * number + each) for each in (0, 1)
        )
        way(first)
        found.append(f"{rate(partial(way, second), time.perf_counter):.0f} {name}")
    return "tokens/s: " + ", ".join(found)


def stepping(model: LanguageModel[Any], batch: int) -> Callable[[], float]:
    """Rows of 32 tokens, with which one step has been made. What is returned makes `STEPS` more, and says the
    seconds that they took by the clock."""
    texts = prompts(batch, 32, model.spec.vocab_size)
    cache = model.new_cache(batch, 64)
    model.prefill(cache, [PrefillRow(row, 0, tuple(ids)) for row, ids in enumerate(texts)])
    model.step(cache, [5] * batch, range(batch), [32] * batch).logits.cpu()

    def seconds() -> float:
        began = time.perf_counter()
        for position in range(33, 33 + STEPS):
            model.step(cache, [5] * batch, range(batch), [position] * batch).logits.argmax(-1).cpu()
        return time.perf_counter() - began

    return seconds


def compiled(subject: Subject, network: Any, eager: LanguageModel[Any], run: Run) -> str:
    """What `demur serve --compile` gives. Last, as it changes the network's blocks."""
    plain = [stepping(eager, batch)() for batch in run.batches]
    model = hub_model(network, subject.name, compiled=True)
    if model.spec.kernel == eager.spec.kernel:
        return f"{subject.name}: could not be compiled; the log says why"
    found = [stepping(model, batch)() for batch in run.batches]
    ratios = (
        f"{before / each:.2f} (batch {batch})"
        for batch, before, each in zip(run.batches, plain, found, strict=True)
    )
    return f"{subject.name}: compiled blocks make steps {', '.join(ratios)} times as fast"


@torch.inference_mode()
def device_share(model: LanguageModel[Any], device: str, batch: int) -> float:
    """Of the time of steps, how much the device computes. What is missing to 1 is the most that CUDA graphs,
    which spare the launching of kernels, could save; see decision 28."""
    kind = ProfilerActivity.CPU if device == "cpu" else ProfilerActivity.CUDA
    steps = stepping(model, batch)
    with profile(activities=[kind]) as profiled:
        whole = steps()
    events = profiled.key_averages()
    if kind is ProfilerActivity.CPU:
        return sum(event.self_cpu_time_total for event in events) / 1e6 / whole
    return sum(event.self_device_time_total for event in events) / 1e6 / whole


def compiling(subject: Subject, network: Any, model: LanguageModel[Any], run: Run) -> str:
    """What fixed shapes could give: the share of a step that the device computes, and how many tokens per
    second `generate` gives at batch 1 with a cache of fixed size, for which it compiles the network."""
    shares = [f"{device_share(model, run.device, each):.2f} (batch {each})" for each in run.batches[:2]]
    fixed = partial(with_generate, network, tokens=run.tokens, cache_implementation="static")
    texts = prompts(1, 32, model.spec.vocab_size, 9)
    fixed(texts)
    found = rate(partial(fixed, texts), time.perf_counter)
    return (
        f"{subject.name}: the device computes for {' and '.join(shares)} of a step; {found:.0f} tokens/s by "
        "generate with fixed shapes at batch 1"
    )


def main(
    device: str = "cuda",
    folder: Annotated[Path | None, typer.Option(help="A checkpoint of another make.")] = None,
    quick: Annotated[bool, typer.Option(help="Tiny, to see that the script runs.")] = False,
) -> None:
    """Check, print, and fail where the device is not right."""
    began = time.monotonic()
    batches, tokens = ((1, 4), 8) if quick else ((1, 8, 32, 128), 64)
    run = Run(device, batches, tokens, began + LONGEST_SECONDS * 2 / 3)
    subjects = [Subject("random Llama", partial(random_llama, TINY if quick else BILLION))]
    if folder is not None:
        subjects.insert(0, Subject(folder.name, partial(of_folder, folder)))
    wrong: list[str] = []
    for subject in subjects:
        wrong += check(subject, run)
        gc.collect()
    if folder is not None and device != "cpu" and find_spec("vllm") is not None:
        for batch in batches:
            if time.monotonic() < run.ends:
                found = with_vllm(folder, prompts(batch, 32, 1000), tokens)
                typer.echo(f"{folder.name}, batch {batch}: tokens/s: {found:.0f} by vLLM")
    typer.echo(f"took {time.monotonic() - began:.0f} s; " + ("; ".join(wrong) or "all is well"))
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
