import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models import checkpoint
from models.checkpoint import Identity, load, save
from models.decoder import Decoder
from models.errors import ArtifactError
from models.gpt2 import Positions
from models.tokenizer import Tokenizer
from tests.models.hub import write_foreign
from tests.models.tiny import random_ids, tiny_network

CARD = {"name": "tiny", "corpus": {"name": "igsm", "modulus": 11}, "accuracy": [0.5, None]}
IDS = random_ids(12)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save(folder, tiny_network(), tokenizer, CARD)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(original, tmp_path / "tiny")


def change_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_network_comes_back_as_it_was_saved(
    tmp_path: Path, tokenizer: Tokenizer, positions: Positions
) -> None:
    network = tiny_network(positions)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.bfloat16())  # what the file can hold
    save(tmp_path / "a" / "tiny", network, tokenizer, CARD)
    loaded = load(tmp_path / "a" / "tiny", kernel="torch")
    expected = Decoder(network, "tiny", tokenizer.end_token_id)
    assert loaded.model.spec == expected.spec
    assert torch.equal(loaded.model.score(IDS).logits, expected.score(IDS).logits)
    assert loaded.card == CARD
    assert loaded.tokenizer.to_json() == tokenizer.to_json()
    assert loaded.path == tmp_path / "a" / "tiny"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["tiny"]


def test_identity_is_the_hashes_of_the_files(original: Path) -> None:
    digests = {
        name: sha256((original / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "config.json", "tokenizer.json")
    }
    assert load(original).identity == Identity(
        digests["model.safetensors"], digests["config.json"], digests["tokenizer.json"]
    )


def test_identity_changes_with_any_file_but_the_card(folder: Path) -> None:
    before = load(folder).identity

    def add_one(tensors: dict[str, Tensor]) -> None:
        tensors["gpt_neox.final_layer_norm.bias"] += 1

    change_weights(folder, add_one)
    weights = load(folder).identity
    assert (weights.weights != before.weights, weights.config, weights.tokenizer) == (
        True,
        before.config,
        before.tokenizer,
    )
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b"\n")
    config = load(folder).identity
    assert (config.config != before.config, config.weights, config.tokenizer) == (
        True,
        weights.weights,
        before.tokenizer,
    )
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes() + b"\n")
    last = load(folder).identity
    assert (last.tokenizer != before.tokenizer, last.weights, last.config) == (
        True,
        weights.weights,
        config.config,
    )
    (folder / "card.json").write_text("{}")
    assert load(folder).identity == last


def test_saving_the_same_twice_gives_the_same_bytes(
    original: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    save(tmp_path / "tiny", tiny_network(), tokenizer, CARD)
    assert load(tmp_path / "tiny").identity == load(original).identity


def test_whoever_may_read_the_folder_may_read_its_files(original: Path) -> None:
    assert {path.name for path in original.iterdir() if not path.stat().st_mode & 0o044} == set()


def test_card_may_be_missing(folder: Path) -> None:
    (folder / "card.json").unlink()
    assert load(folder).card == {}


def set_nan(tensors: dict[str, Tensor]) -> None:
    tensors["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"][3, 4] = float("nan")


def set_infinite(tensors: dict[str, Tensor]) -> None:
    tensors["gpt_neox.embed_in.weight"][0, 0] = float("-inf")


def cut_qkv(tensors: dict[str, Tensor]) -> None:
    name = "gpt_neox.layers.0.attention.query_key_value.weight"
    tensors[name] = tensors[name][:90].clone()


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["gpt_neox.layers.0.input_layernorm.bias"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_nan, r"gpt_neox\.layers\.1\.mlp\.dense_h_to_4h\.weight holds NaN or infinity"),
        (set_infinite, r"gpt_neox\.embed_in\.weight holds NaN or infinity"),
        (cut_qkv, r"query_key_value\.weight has shape \(90, 32\); config\.json wants \(96, 32\)"),
        (drop, r"the weights lack gpt_neox\.layers\.0\.input_layernorm\.bias"),
    ],
)
def test_wrong_weights_are_refused_by_name(
    folder: Path, change: Callable[[dict[str, Tensor]], object], named: str
) -> None:
    change_weights(folder, change)
    with pytest.raises(ArtifactError, match=rf"tiny: .*{named}"):
        load(folder)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_cut_weights_are_refused_by_name(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ArtifactError, match=r"tiny: model\.safetensors is damaged"):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"cannot read .*tiny/{name}: No such file"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "card.json"])
def test_cut_file_is_refused_by_name(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=rf"tiny/{name} is not"):
        load(folder)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (
            {"hidden_size": 64, "intermediate_size": 256},
            r"has shape \(400, 32\); config.json wants \(400, 64\)",
        ),
        ({"num_hidden_layers": 3}, r"the weights lack gpt_neox\.layers\.2"),
        ({"num_attention_heads": 5}, "d_model 32 is not a multiple of n_heads 5"),
        ({"num_attention_heads": 0}, "n_heads is 0; it must be at least 1"),
        ({"num_attention_heads": "4"}, "num_attention_heads is '4'; it must be a whole number"),
        ({"hidden_size": None}, "hidden_size is None; it must be a whole number"),
        ({"vocab_size": 399}, r"embed_in.weight has shape"),
        ({"vocab_size": True}, "vocab_size is True"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0}}, "'rope_theta'"),
        ({"model_type": "nonsense"}, "transformers cannot load it as a causal language model"),
    ],
)
def test_config_that_does_not_fit_is_refused_by_name(
    folder: Path, fields: dict[str, Any], named: str
) -> None:
    change_config(folder, **fields)
    with pytest.raises(ArtifactError, match=rf"tiny: .*{named}"):
        load(folder)


def test_tokenizer_larger_than_the_model_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    save(tmp_path / "tiny", tiny_network(vocab_size=399), tokenizer, CARD)
    with pytest.raises(ArtifactError, match="the tokenizer has 400 tokens, but the model has only 399"):
        load(tmp_path / "tiny")


def test_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no checkpoint folder .*nowhere; give the folder that holds"):
        load(tmp_path / "nowhere")


def shard(folder: Path) -> None:
    """Store the weights in two files and an index, as transformers stores large ones."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = {f"model-0000{part + 1}-of-00002.safetensors": list(tensors)[part::2] for part in range(2)}
    for file, names in halves.items():
        save_file({name: tensors[name] for name in names}, folder / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, names in halves.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_weights_in_several_files_are_the_same_weights(folder: Path, original: Path) -> None:
    shard(folder)
    loaded = load(folder)
    assert torch.equal(loaded.model.score(IDS).logits, load(original).model.score(IDS).logits)
    second = folder / "model-00002-of-00002.safetensors"
    before = loaded.identity
    tensors = load_file(second)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, second, {"format": "pt"})
    assert load(folder).identity.weights != before.weights
    second.unlink()
    with pytest.raises(ArtifactError, match=r"cannot read .*model-00002-of-00002\.safetensors"):
        load(folder)


@pytest.mark.parametrize("files", [None, {}, [], {"a": "../other.safetensors"}, {"a": 1}])
def test_index_without_files_is_refused_by_name(folder: Path, files: object) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(ArtifactError, match=r"index\.json does not name files|cannot read .*tiny/1"):
        load(folder)


def test_foreign_checkpoint_has_no_card_and_an_identity(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_foreign("llama", tmp_path / "llama", tokenizer)
    loaded = load(tmp_path / "llama")
    assert loaded.card == {}
    weights = (tmp_path / "llama" / "model.safetensors").read_bytes()
    assert loaded.identity.weights == sha256(weights).hexdigest()
    assert checkpoint.CARD_FILE not in {path.name for path in loaded.path.iterdir()}
