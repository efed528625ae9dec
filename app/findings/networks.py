"""Networks that findings train: runs of the trainer in a stage's folder, which a kill does not change."""

from hashlib import sha256
from pathlib import Path
from random import Random

import torch

from app.findings.finding import Bench, Stopped
from models.gpt2 import GPT2
from models.pretrain import Observer, pretrain
from models.training.config import PretrainConfig
from models.training.data import batch_source

_SAMPLE = 500
_MULTIPLY_ADDS = 3
"""Of a token and a parameter: one forward, two backward."""


def cost_of(tokens: float, parameters: float) -> float:
    """Multiply-adds of a training run; see `Stage`."""
    return tokens * parameters * _MULTIPLY_ADDS


def trained(config: PretrainConfig, folder: Path, bench: Bench, initial: GPT2 | None = None) -> GPT2:
    """The network of a run, on the CPU; goes on where the folder holds the beginning of it.

    Raises:
        Stopped: somebody wanted it to end; the folder has the state.
    """
    observer = Observer(stepped=lambda row: bench.told(row.step / config.steps))
    run = pretrain(
        config,
        folder,
        compile_network=torch.cuda.is_available(),  # on a CPU compiling takes longer than these runs gain
        observer=observer,
        should_stop=bench.should_stop,
        initial=initial,
    )
    if run.progress.step < config.steps:
        raise Stopped(f"{folder}: stopped after step {run.progress.step} of {config.steps}")
    return run.network.to("cpu").eval()


def digest_of(network: GPT2) -> str:
    """sha256 of all weights, for `PretrainConfig.init_weights`."""
    digest = sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()


def tokens_of_texts(config: PretrainConfig, texts: float) -> int:
    """Tokens of a run, padding included, that show so many texts of its corpus."""
    tokenizer = config.corpus.make_tokenizer()
    random = Random("length")
    lengths: list[int] = []
    for _ in range(_SAMPLE):
        text = config.corpus.draw(random, "train", random.choice(config.sizes))
        phrases = (*text.problem_phrases, *text.solution_phrases)
        lengths.append(1 + sum(len(tokenizer.encode(phrase)) for phrase in phrases))
    batch = batch_source(config, tokenizer, 0, 1)(0)
    return round(texts * sum(lengths) / _SAMPLE * config.rows * config.row_length / batch.tokens)
