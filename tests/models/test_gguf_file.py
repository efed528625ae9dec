"""A tiny Llama as a GGUF, and the folder that is made of it."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from app.cli import app
from models import checkpoint
from models.errors import ArtifactError
from models.gguf_file import check_conversion, convert

needs_packages = pytest.mark.skipif(
    not (find_spec("gguf") and find_spec("accelerate")), reason="pip install 'demur[gguf]'"
)
TOKENS = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "<|start|>", "<|end|>", "<|end_turn|>"]
START, END, END_TURN = (TOKENS.index(name) for name in ("<|start|>", "<|end|>", "<|end_turn|>"))
TEMPLATE = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
NORMAL, CONTROL = 1, 3
HEADS, WIDTH, INNER, LAYERS = 4, 32, 48, 2


def tiny_llama() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(TOKENS),
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=64,
            hidden_size=WIDTH,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
        )
    ).eval()


def as_llama_cpp(weight: torch.Tensor) -> torch.Tensor:
    """llama.cpp rotates neighbouring dimensions of a head, transformers the two halves of it."""
    halves = weight.reshape(HEADS, 2, -1, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path: Path, network: Any, architecture: str = "llama") -> None:
    gguf: Any = import_module("gguf")
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([CONTROL if name.startswith("<|") else NORMAL for name in TOKENS])
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    writer.add_eot_token_id(END_TURN)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    state = network.state_dict()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    for name, weight in state.items():
        if ".q_proj." in name or ".k_proj." in name:
            weight = as_llama_cpp(weight)
        writer.add_tensor(names.get_name(name.removesuffix(".weight")) + ".weight", weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@needs_packages
def test_what_comes_out_computes_and_reads_as_what_went_in(tmp_path: Path) -> None:
    network = tiny_llama()
    write_gguf(tmp_path / "tiny.gguf", network)
    facts = convert(tmp_path / "tiny.gguf", tmp_path / "tiny", torch.float32, lambda _: None)
    assert (facts.architecture, facts.has_chat_template) == ("llama", True)

    ids = torch.tensor([[START, 1, 2, 3, 250]])
    made: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    with torch.inference_mode():
        assert torch.allclose(made(ids).logits, network(ids).logits, atol=1e-5)

    loaded = checkpoint.load(tmp_path / "tiny")
    assert loaded.model.spec.end_token_ids == (END, END_TURN)
    assert loaded.tokenizer.encode_prompt("the") == [START, TOKENS.index("the")]
    assert loaded.tokenizer.chat_template is not None
    assert loaded.tokenizer.chat_template.source == TEMPLATE
    weights = tmp_path / "tiny" / "model.safetensors"
    assert weights.stat().st_mode == (tmp_path / "tiny" / "config.json").stat().st_mode


@needs_packages
def test_every_token_is_that_of_the_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_llama())
    convert(tmp_path / "tiny.gguf", tmp_path / "tiny", torch.bfloat16, lambda _: None)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "tiny")
    assert tokenizer.convert_ids_to_tokens(list(range(len(TOKENS)))) == TOKENS


@needs_packages
@pytest.mark.parametrize("damage", ["cut", "architecture"])
def test_what_cannot_be_read_leaves_nothing_behind(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, tiny_llama(), "rwkv6" if damage == "architecture" else "llama")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="rwkv6" if damage == "architecture" else "damaged"):
        convert(path, tmp_path / "tiny", torch.float32, lambda _: None)
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.gguf"]


@needs_packages
def test_a_place_that_is_taken_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes").write_text("mine")
    ran = CliRunner().invoke(app, ["convert", str(tmp_path / "tiny.gguf"), str(tmp_path / "there")])
    assert ran.exit_code == 2
    assert "is not empty" in ran.output
    assert (tmp_path / "there" / "notes").read_text() == "mine"


@needs_packages
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip"])
def test_another_kind_of_file_is_told_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.gguf is no GGUF file"):
        check_conversion(tmp_path / "model.gguf", tmp_path / "out")
    with pytest.raises(ArtifactError, match="cannot read"):
        check_conversion(tmp_path / "nothing.gguf", tmp_path / "out")


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.gguf_file.find_spec", {}.get)
    ran = CliRunner().invoke(app, ["convert", str(tmp_path / "tiny.gguf"), str(tmp_path / "out")])
    assert ran.exit_code == 2
    assert "gguf and accelerate" in ran.output
    assert "demur[gguf]" in ran.output
