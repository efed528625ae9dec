"""What the adapter refuses; what it computes is in test_language_model.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.checkpoint import load
from models.errors import ArtifactError, CapacityError
from models.language_model import PrefillRow
from models.tokenizer import Tokenizer
from tests.models.hub import write_foreign


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    write_foreign("llama", tmp_path / "llama", tokenizer)
    return tmp_path / "llama"


def set_nan(tensors: dict[str, Tensor]) -> None:
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["model.layers.0.input_layernorm.weight"]


def cut(tensors: dict[str, Tensor]) -> None:
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:31].clone()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_nan, r"model\.layers\.1\.mlp\.up_proj\.weight holds NaN or infinity"),
        (drop, r"the weights lack model\.layers\.0\.input_layernorm\.weight"),
        (cut, "transformers cannot load it as a causal language model"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_wrong_weights_are_refused(
    folder: Path, change: Callable[[dict[str, Tensor]], object], named: str
) -> None:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ArtifactError, match=f"llama: {named}"):
        load(folder)


def test_cut_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="llama: transformers cannot load it"):
        load(folder)


def test_code_of_a_checkpoint_is_not_run(folder: Path) -> None:
    (folder / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}'
    )
    (folder / "own.py").write_text("raise SystemExit('run')")
    with pytest.raises(ArtifactError, match="llama: transformers cannot load it"):
        load(folder)


def test_recurrent_model_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Its state after a token holds the whole past, so there is no way back to an earlier position."""
    from transformers import MambaConfig, MambaForCausalLM

    network: Any = MambaForCausalLM(
        MambaConfig(vocab_size=400, hidden_size=16, num_hidden_layers=1, state_size=4)
    )
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ArtifactError, match=r"a mamba model .*cannot be cut short"):
        load(tmp_path)


def test_model_without_a_context_length_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    network: Any = BloomForCausalLM(BloomConfig(vocab_size=400, hidden_size=16, n_layer=1, n_head=2))
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ArtifactError, match="the max_position_embeddings of a bloom model is None"):
        load(tmp_path)


def test_gap_in_a_slot_is_refused(folder: Path) -> None:
    model = load(folder).model
    cache = model.new_cache(1, 8)
    model.prefill(cache, [PrefillRow(0, 0, (1, 2))])
    with pytest.raises(CapacityError, match="slot 0 holds 2 positions; the next cannot be 3"):
        model.prefill(cache, [PrefillRow(0, 3, (1,))])
