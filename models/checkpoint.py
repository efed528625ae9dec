"""Checkpoints: a folder in Hugging Face format with a card, and what identifies it.

`AutoModelForCausalLM` and `AutoTokenizer` load the same folder. Weights are stored in bfloat16 and computed
with in float32.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from models import hub_format
from models.decoder import Decoder
from models.errors import ArtifactError
from models.gpt2 import GPT2
from models.hub_adapter import load_hub_model
from models.language_model import KVCache, LanguageModel
from models.tokenizer import Tokenizer

WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE, CARD_FILE = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "card.json",
)


@dataclass(frozen=True)
class Identity:
    """What makes a checkpoint this one: sha256, in hex, of its weights, config and tokenizer files."""

    weights: str
    config: str
    tokenizer: str


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory; `card` says how it was made and what it reaches, empty for a foreign one."""

    model: LanguageModel[KVCache]
    tokenizer: Tokenizer
    card: Mapping[str, Any]
    identity: Identity
    path: Path


def save(folder: Path, network: GPT2, tokenizer: Tokenizer, card: Mapping[str, Any]) -> None:
    """Write a checkpoint folder, replacing one that is there only when the new one is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        partial = Path(name)
        state = hub_format.to_hub(network.config, network.state_dict())
        stored = {key: tensor.detach().cpu().to(torch.bfloat16) for key, tensor in state.items()}
        (partial / WEIGHTS_FILE).write_bytes(save_tensors(stored, {"format": "pt"}))
        config = hub_format.hub_config(network.config, tokenizer.end_token_id) | {"dtype": "bfloat16"}
        write_json(partial / CONFIG_FILE, config)
        tokenizer.save(partial)
        write_json(partial / CARD_FILE, card)
        folder.mkdir(exist_ok=True)
        for path in sorted(partial.iterdir()):
            shutil.move(path, folder / path.name)


def load(folder: Path, device: str = "cpu") -> LoadedCheckpoint:
    """Load a checkpoint folder: our own networks directly, any other causal LM through transformers.

    Raises:
        ArtifactError: a file is missing, damaged or does not fit the others.
    """
    if not folder.is_dir():
        raise ArtifactError(
            f"there is no checkpoint folder {folder}; give the folder that holds {CONFIG_FILE}"
        )
    config = read_json(folder / CONFIG_FILE)
    tokenizer = Tokenizer.load(folder / TOKENIZER_FILE)
    weights = _read(folder / WEIGHTS_FILE)
    name = folder.resolve().name
    if hub_format.is_ours(config):
        end = config.get("eos_token_id")
        end_token_id = end if isinstance(end, int) else tokenizer.end_token_id
        model: LanguageModel[Any] = Decoder(_network(config, weights).to(device).eval(), name, end_token_id)
    else:
        model = load_hub_model(folder, name, device)
    if tokenizer.vocab_size > model.spec.vocab_size:
        raise ArtifactError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the model has only "
            f"{model.spec.vocab_size}"
        )
    card_file = folder / CARD_FILE
    return LoadedCheckpoint(
        model=model,
        tokenizer=tokenizer,
        card=read_json(card_file) if card_file.exists() else {},
        identity=Identity(
            weights=sha256(weights).hexdigest(),
            config=_digest(folder / CONFIG_FILE),
            tokenizer=_digest(folder / TOKENIZER_FILE),
        ),
        path=folder,
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ArtifactError: the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(_read(path))
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _network(config: Mapping[str, Any], weights: bytes) -> GPT2:
    network = GPT2(hub_format.network_config(config))
    try:
        stored = load_tensors(weights)
    except SafetensorError as error:
        raise ArtifactError(f"{WEIGHTS_FILE} is damaged: {error}") from error
    network.load_state_dict(hub_format.from_hub(network.config, stored, network.state_dict()))
    return network.requires_grad_(False)


def _digest(path: Path) -> str:
    return sha256(_read(path)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
