"""The memory that weights take is foretold from their files: it is what the loaded network has."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from models import checkpoint
from models.errors import ArtifactError
from models.hub.dtypes import Precision
from models.hub.loading import load_hub_network
from models.tokenizer import Tokenizer
from models.weight_files import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, weight_bytes
from tests.models.architectures import network_of
from tests.models.tiny import tiny_network

pytestmark = pytest.mark.filterwarnings("ignore")

SIZES = {"hidden_size": 64, "vocab_size": 5000, "n_embd": 64, "intermediate_size": 256}
FOREIGN = {"scale_attn_by_inverse_layer_idx": True}  # else a GPT-2 is one of ours
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8")


def memory(network: nn.Module) -> int:
    """Of all parameters and buffers, each once."""
    tensors: list[torch.Tensor] = [*network.parameters(), *network.buffers()]
    stores = [each.untyped_storage() for each in tensors]
    return sum(nbytes for _, nbytes in {(store.data_ptr(), store.nbytes()) for store in stores})


def folder_of(path: Path, kind: str, **sizes: Any) -> Path:
    network_of(kind, **sizes).save_pretrained(path)
    return path


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "gemma3_text", "mixtral"])
def test_memory_is_that_of_the_loaded_network(
    kind: str, tied: bool, precision: Precision, tmp_path: Path
) -> None:
    its = SIZES | (FOREIGN if kind == "gpt2" else {})
    folder = folder_of(tmp_path, kind, **its, tie_word_embeddings=tied)
    network: nn.Module = load_hub_network(folder, "cpu", precision)
    assert weight_bytes(folder, precision) == pytest.approx(memory(network), rel=0.01)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tied_weights_that_are_stored_twice_are_there_once(precision: Precision, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama", **SIZES, tie_word_embeddings=True)
    once = weight_bytes(folder, precision)
    weights = load_file(folder / WEIGHTS_FILE)
    assert "lm_head.weight" not in weights
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, folder / WEIGHTS_FILE, {"format": "pt"})
    assert weight_bytes(folder, precision) == once
    network: nn.Module = load_hub_network(folder, "cpu", precision)
    assert weight_bytes(folder, precision) == pytest.approx(memory(network), rel=0.01)


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_our_own_networks_compute_in_float32(
    precision: Precision, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoint.save(tmp_path / "ours", tiny_network("rotary"), tokenizer, {})
    network, _ = checkpoint.load_network(tmp_path / "ours")
    expected = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert weight_bytes(tmp_path / "ours", precision) == expected


def test_on_a_gpu_auto_is_what_is_stored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert weight_bytes(folder, "auto", "cuda") * 2 == weight_bytes(folder, "auto") == weight_bytes(folder)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    (folder / WEIGHTS_FILE).write_bytes(b"none")
    with pytest.raises(ArtifactError, match=r"model\.safetensors is damaged"):
        weight_bytes(folder)


@pytest.mark.parametrize(
    "header", [b"[" * 100_000, b'{"a": {"shape": [1e999]}}', b'{"a": {"shape": "x"}}', b"[]", b'{"a": 1}']
)
def test_a_header_of_another_form_is_damage(header: bytes, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("{}")
    (tmp_path / WEIGHTS_FILE).write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ArtifactError, match=r"model\.safetensors is damaged"):
        weight_bytes(tmp_path)


@pytest.mark.parametrize("files", [["a"], {}, {"a": ["b"]}, {"a": {}}, {"a": 1}, {"a": "../b"}, None])
def test_an_index_of_another_form_is_named(files: object, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("{}")
    (tmp_path / INDEX_FILE).write_text(json.dumps({"weight_map": files}))
    with pytest.raises(ArtifactError, match="does not name files of weights"):
        weight_bytes(tmp_path)
