"""A tiny Llama as a GGUF, and the folder that is made of it."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from app.cli import app
from models import checkpoint
from models.errors import ArtifactError
from models.gguf_file import check_conversion, convert
from tests.models.gguf.writing import END, END_TURN, START, TEMPLATE, TOKENS, write_gguf

needs_packages = pytest.mark.skipif(
    not (find_spec("gguf") and find_spec("accelerate")), reason="pip install 'demur[gguf]'"
)
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
