"""Networks that findings train: runs of the trainer in a stage's folder, which a kill does not change."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import torch

from app.findings.finding import Bench, Stopped
from models.checkpoint import CARD_FILE, load_network
from models.decoder import Decoder
from models.errors import ArtifactError
from models.files import read_json
from models.gpt2 import GPT2
from models.language_model import LanguageModel
from models.native.kernel import use_native
from models.native.native_decoder import NativeDecoder
from models.pretrain import Observer, pretrain
from models.training.config import PretrainConfig
from models.training.data import batch_source

CHECKPOINT = "checkpoint"
"""Folder beside the state of a run: a checkpoint that the same run ended with elsewhere, such as on a GPU."""
COMPILED_STEPS = 1000
"""On a CPU, compiling for half a minute pays from so many on."""
_SAMPLE = 500
_MULTIPLY_ADDS = 3
"""Of a token and a parameter: one forward, two backward."""


def cost_of(tokens: float, parameters: float) -> float:
    """Multiply-adds of a training run; see `Stage`."""
    return tokens * parameters * _MULTIPLY_ADDS


def trained(
    config: PretrainConfig,
    folder: Path,
    bench: Bench,
    initial: GPT2 | None = None,
) -> GPT2:
    """The network of a run, on the CPU; goes on where the folder holds the beginning of it.

    Where the folder holds a `checkpoint` of that run, it is taken over.

    Raises:
        Stopped: somebody wanted it to end; the folder has the state.
        ArtifactError: the folder holds the state, or a checkpoint, of another run.
    """
    if (folder / CHECKPOINT).is_dir():
        return _taken_over(config, folder / CHECKPOINT)
    on_gpu = bench.device != "cpu" and torch.cuda.is_available()
    observer = Observer(stepped=lambda row: bench.told(row.step / config.steps))
    run = pretrain(
        config,
        folder,
        device=bench.device,
        compile_network=None if on_gpu or config.steps >= COMPILED_STEPS else False,
        observer=observer,
        should_stop=bench.should_stop,
        initial=initial,
    )
    if run.progress.step < config.steps:
        raise Stopped(f"{folder}: stopped after step {run.progress.step} of {config.steps}")
    return run.network.to("cpu").eval()


def computed(network: GPT2, end_token_id: int | None) -> LanguageModel[Any]:
    """The network as a model that solves and answers, by the native step where it can run."""
    decoder = NativeDecoder if use_native("auto", "cpu") else Decoder
    return decoder(network, "trained", end_token_id)


def _taken_over(config: PretrainConfig, folder: Path) -> GPT2:
    card = read_json(folder / CARD_FILE)
    training = card.get("training")
    there = training.get("config") if isinstance(training, dict) else None
    if not isinstance(there, dict) or _decides(there) != _decides(config.to_card()):
        raise ArtifactError(f"{folder} is not what the run of this finding ends with; move it elsewhere")
    return load_network(folder)[0].eval()


def _decides(card: Mapping[str, object]) -> dict[str, object]:
    """What of a config decides the weights, as JSON has it."""
    return {name: value for name, value in card.items() if not name.startswith("validate_")}


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
