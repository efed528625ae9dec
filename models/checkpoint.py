"""Checkpoints: a folder in Hugging Face format with a card, and what identifies it.

`AutoModelForCausalLM` and `AutoTokenizer` load the same folder. Weights are stored in bfloat16 and computed
with in float32.
"""

import gc
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import Tensor

from models import hub_format
from models.decoder import Decoder
from models.errors import ArtifactError
from models.file_hashes import known_hash
from models.files import is_gguf, opened, read_json, rewriting, write_json
from models.gpt2 import GPT2
from models.hub.dtypes import Precision, require_own
from models.hub.loading import EVERY_DEVICE, load_hub_network
from models.hub_tokenizer import load_tokenizer
from models.language_model import LanguageModel
from models.native.kernel import Kernel, use_native
from models.native.native_decoder import NativeDecoder
from models.tokenizer import TOKENIZER_FILE, Tokenizer
from models.weight_files import CONFIG_FILE, WEIGHTS_FILE, weight_files

GENERATION_FILE, CARD_FILE = "generation_config.json", "card.json"


@dataclass(frozen=True)
class Identity:
    """What makes a checkpoint this one: sha256, in hex, of its weights, config and tokenizer files."""

    weights: str
    config: str
    tokenizer: str


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory.

    Attributes:
        card: how it was made and what it reaches; empty for a foreign one.
        generation: its `generation_config.json`; empty where there is none.
    """

    model: LanguageModel[Any]
    tokenizer: Tokenizer
    card: Mapping[str, Any]
    identity: Identity
    path: Path
    generation: Mapping[str, Any] = field(default_factory=dict[str, Any])


def check_target(folder: Path) -> None:
    """Refuse a place where `save` could not put a checkpoint; worth asking before hours of training.

    Raises:
        ArtifactError: it is a file, or a folder with folders in it, which no checkpoint has.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file; a checkpoint is a folder")
    inner = [path.name for path in folder.iterdir() if path.is_dir()] if folder.exists() else []
    if inner:
        raise ArtifactError(
            f"{folder} holds the folder {inner[0]}, so it is no checkpoint to replace; give another folder"
        )


def save(folder: Path, network: GPT2, tokenizer: Tokenizer, card: Mapping[str, Any]) -> None:
    """Write a checkpoint folder, in one go: a kill leaves the old one, if there was one, or the new one.

    Files beside the checkpoint's own, such as a README, stay.

    Raises:
        ArtifactError: see `check_target`.
    """
    folder = folder.resolve()
    check_target(folder)
    state = hub_format.to_hub(network.config, network.state_dict())
    stored = {name: tensor.detach().cpu().to(torch.bfloat16) for name, tensor in state.items()}
    config = hub_format.hub_config(network.config, tokenizer.end_token_id) | {"dtype": "bfloat16"}
    with rewriting(folder) as partial:
        # Not `save_file`, whose files nobody but their owner may read.
        (partial / WEIGHTS_FILE).write_bytes(save_tensors(stored, {"format": "pt"}))
        write_json(partial / CONFIG_FILE, config)
        tokenizer.save(partial)
        write_json(partial / CARD_FILE, card)


@contextmanager
def _without_collection() -> Generator[None]:
    """Look for no garbage meanwhile. A tokenizer's file becomes a million objects, among which it was looked
    for again and again: that took twice as long as reading them."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@_without_collection()
def load(
    folder: Path,
    device: str = "cpu",
    precision: Precision = "auto",
    kernel: Kernel = "auto",
    compiled: bool = False,
) -> LoadedCheckpoint:
    """Load a checkpoint folder: our own networks directly, any other causal LM through transformers; or a
    GGUF, by llama.cpp.

    Our own compute in float32, with int8 weights if asked, and are too small to be shared out among devices.

    Args:
        kernel: what computes our own.
        compiled: whether the steps of others are to be compiled by torch, where they can be.

    Raises:
        ArtifactError: a file is missing, damaged or does not fit the others.
        SpecError: this machine has no such device, there is no such precision, or not for our own, or the
            kernel cannot run here.
    """
    if is_gguf(folder):
        return _load_gguf(folder, device, precision)
    if not folder.is_dir():
        raise ArtifactError(
            f"there is no checkpoint folder {folder}; give the folder that holds {CONFIG_FILE}"
        )
    config = read_json(folder / CONFIG_FILE)
    weights = weight_files(folder)
    for path in (*weights, folder / TOKENIZER_FILE):
        with opened(path):  # one that is missing is told before anything takes time
            pass
    # Hashing takes a second for each gigabyte, and lets other threads run meanwhile.
    with ThreadPoolExecutor(1, "hash") as beside:
        identity = beside.submit(_identity, folder, weights)
        # The network before the tokenizer: one that is no decoder is told so, whatever its tokenizer.
        with _naming(folder):
            is_ours = hub_format.is_ours(config)
            network: Any
            if is_ours:
                require_own(precision)
                device = "cpu" if device == EVERY_DEVICE else device
                network = _network(config, weights).to(device).eval()
            else:
                network = load_hub_network(folder, device, precision)
        tokenizer = load_tokenizer(folder, is_ours)
    # What a model was trained further on often ends its turns with another token than its texts ended with.
    generation = _read_optional(folder / GENERATION_FILE)
    ends = (generation.get("eos_token_id"), tokenizer.end_token_id)
    name = folder.resolve().name
    model: LanguageModel[Any]
    with _naming(folder):
        if isinstance(network, GPT2):
            decoder = NativeDecoder if use_native(kernel, device) else Decoder
            model = decoder(network, name, config.get("eos_token_id"), *ends, int8=precision == "int8")
        else:
            from models.hub.choosing import hub_model  # transformers takes a second to import

            model = hub_model(network, name, *ends, compiled=compiled)
    _check_vocabulary(folder, tokenizer, model.spec.vocab_size)
    card = _read_optional(folder / CARD_FILE)
    return LoadedCheckpoint(model, tokenizer, card, identity.result(), folder, generation)


def _load_gguf(path: Path, device: str, precision: Precision) -> LoadedCheckpoint:
    from models.gguf.opening import open_gguf  # transformers takes a second to import

    found = open_gguf(path, device, precision)
    _check_vocabulary(path, found.tokenizer, found.model.spec.vocab_size)
    identity = Identity(found.digest, found.digest, found.digest)
    return LoadedCheckpoint(found.model, found.tokenizer, {}, identity, path)


def _check_vocabulary(path: Path, tokenizer: Tokenizer, size: int) -> None:
    # Fine-tuned models are about that pad with a token beyond the model's; no text has it.
    missing = set(range(size, tokenizer.vocab_size))
    if missing - tokenizer.special_ids or tokenizer.end_token_id in missing:
        raise ArtifactError(
            f"{path}: the tokenizer has {tokenizer.vocab_size} tokens, but the model has only {size}"
        )


def load_network(folder: Path) -> tuple[GPT2, str]:
    """The trainable network of one of our own checkpoints, on the CPU, and the sha256 of its weights.

    Raises:
        ArtifactError: a file is missing or damaged, or the checkpoint is of another make.
    """
    config = read_json(folder / CONFIG_FILE)
    if not hub_format.is_ours(config):
        raise ArtifactError(
            f"{folder} holds a {config.get('model_type')} network; training goes on only from checkpoints "
            "that demur pretrain wrote"
        )
    weights = weight_files(folder)
    return _network(config, weights), known_hash(weights)


@contextmanager
def _naming(folder: Path) -> Generator[None]:
    """Say of which folder it is that something is wrong."""
    try:
        yield
    except ArtifactError as error:
        raise ArtifactError(f"{folder}: {error}") from error


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _network(config: Mapping[str, Any], weights: Sequence[Path]) -> GPT2:
    network = GPT2(hub_format.network_config(config))
    stored: dict[str, Tensor] = {}
    for path in weights:
        try:
            stored |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{path.name} is damaged: {error}") from error
    network.load_state_dict(hub_format.from_hub(network.config, stored, network.state_dict()))
    return network.requires_grad_(False)


def _identity(folder: Path, weights: Sequence[Path]) -> Identity:
    files = weights, [folder / CONFIG_FILE], [folder / TOKENIZER_FILE]
    return Identity(*map(known_hash, files))
