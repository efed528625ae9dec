"""A GGUF as a checkpoint: its tokenizer, its identity, and what is refused in a sentence."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from models import checkpoint
from models.errors import ArtifactError, SpecError
from models.gguf import llama_library
from models.gguf.llama_library import check_defaults
from models.gguf_file import convert
from models.weight_files import weight_bytes
from tests.models.gguf.writing import END, END_TURN, TEMPLATE, TOKENS, needs_llama_cpp, write_gguf
from tests.models.hub import FOREIGN
from tests.models.tiny import randomise

pytestmark = needs_llama_cpp


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


def tiny_llama() -> Any:
    network = FOREIGN["llama"]()
    network.resize_token_embeddings(len(TOKENS))
    randomise(network, seed=3)
    return network.requires_grad_(False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "tiny.gguf", tiny_llama())
    return tmp_path / "tiny.gguf"


def test_it_reads_and_ends_as_the_converted_folder_does(path: Path, tmp_path: Path, caches: Path) -> None:
    convert(path, tmp_path / "folder", torch.float32, lambda _: None)
    folder = checkpoint.load(tmp_path / "folder")
    # The second time by what was kept.
    for loaded in (checkpoint.load(path), checkpoint.load(path)):
        assert loaded.model.spec.end_token_ids == folder.model.spec.end_token_ids == (END, END_TURN)
        for text in ("the thin  cat", "<|start|>a\n<|end|>", "caf\u00e9 \U0001f600"):
            assert loaded.tokenizer.encode_prompt(text) == folder.tokenizer.encode_prompt(text)
            assert loaded.tokenizer.encode(text) == folder.tokenizer.encode(text)
        assert loaded.tokenizer.vocabulary == folder.tokenizer.vocabulary
        assert loaded.tokenizer.chat_template == folder.tokenizer.chat_template
        assert loaded.tokenizer.chat_template is not None
        assert loaded.tokenizer.chat_template.source == TEMPLATE
        ids = loaded.tokenizer.encode_prompt("the thing")
        ours, theirs = loaded.model.score(ids).logits, folder.model.score(ids).logits
        torch.testing.assert_close(ours, theirs, atol=0.1, rtol=0)
    assert len(list((caches / "demur" / "tokenizers").iterdir())) == 1


def test_where_nothing_can_be_kept_it_is_made_anew(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert checkpoint.load(path).tokenizer.encode("the") == [TOKENS.index("the")]


def test_its_identity_is_that_of_the_quantised_file(path: Path, tmp_path: Path) -> None:
    write_gguf(tmp_path / "half.gguf", tiny_llama(), quantisation="F16")
    whole, half = checkpoint.load(path), checkpoint.load(tmp_path / "half.gguf")
    assert (whole.model.spec.quantisation, half.model.spec.quantisation) == ("F32", "F16")
    assert whole.identity.weights != half.identity.weights
    assert whole.model.spec.name == "tiny.gguf"
    assert weight_bytes(path) == path.stat().st_size


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("cut in the header", "is damaged"),
        ("cut in the weights", "llama.cpp cannot load it: .*(bounds|corrupted)"),
        ("empty", "is no GGUF file: it begins with b''"),
        ("zip", "is no GGUF file"),
        ("taken away", "cannot read"),
        ("unknown architecture", "llama.cpp cannot load it: .*unknown model architecture: 'nothing'"),
        ("no tokenizer", "has no tokenizer.ggml.tokens"),
        ("parts", "it is one of 3 parts of a model"),
        ("nan", "llama.cpp cannot load it|no numbers"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(path: Path, damage: str, said: str) -> None:
    content = path.read_bytes()
    match damage:
        case "cut in the header":
            path.write_bytes(content[:5000])
        case "cut in the weights":
            path.write_bytes(content[: len(content) - 5000])
        case "empty":
            path.write_bytes(b"")
        case "zip":
            path.write_bytes(b"PK\x03\x04 a zip")
        case "taken away":
            path.unlink()
        case "unknown architecture":
            write_gguf(path, tiny_llama(), "nothing")
        case "no tokenizer":
            write_gguf(path, tiny_llama(), tokens=())
        case "parts":
            write_gguf(path, tiny_llama(), split__count=3)
        case _:
            network = tiny_llama()
            network.model.norm.weight[0] = float("nan")
            write_gguf(path, network)
    with pytest.raises(ArtifactError, match=said) as raised:
        checkpoint.load(path)
    assert "\n" not in str(raised.value)
    assert "tiny.gguf" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "kind", "value", "said"),
    [
        ("block_count", "I", 0, "block_count is 0, not 1 to 512"),
        ("block_count", "I", 100_000, "block_count is 100000, not 1 to 512"),
        ("context_length", "I", 0, "context_length is 0, not 1 to"),
        ("context_length", "I", 2**32 - 1, "context_length is .*, not 1 to"),
        ("attention.layer_norm_rms_epsilon", "f", -1.0, "epsilon is -1, not 0 to 1"),
        ("attention.layer_norm_rms_epsilon", "f", float("nan"), "epsilon is nan, not 0 to 1"),
        ("expert_used_count", "H", 2, "expert_used_count is 2, not 0 to 0"),
    ],
)
def test_numbers_that_would_end_the_process_are_refused(
    path: Path, name: str, kind: str, value: float, said: str
) -> None:
    write_gguf(path, tiny_llama(), llama__expert_used_count=0)
    content, key = path.read_bytes(), f"llama.{name}".encode()
    begin = content.index(key) + len(key) + 4  # behind the name and the type
    number = struct.pack(f"<{kind}", value)
    path.write_bytes(content[:begin] + number + content[begin + len(number) :])
    with pytest.raises(ArtifactError, match=rf"tiny\.gguf: it is damaged: its .*{said}"):
        checkpoint.load(path)


def test_a_model_and_its_caches_last_until_the_process_has_ended(path: Path) -> None:
    """A thread of the engine may be in a pass when Python ends."""
    program = f"""
import atexit
def at_the_end():  # registered first, so called last
    print(model.prefill(cache, [row]).logits.isfinite().all().item())
atexit.register(at_the_end)
from pathlib import Path
from models import checkpoint
from models.language_model import PrefillRow
model = checkpoint.load(Path({str(path)!r})).model
cache, row = model.new_cache(2, 40), PrefillRow(0, 0, (1, 2, 3))
model.prefill(cache, [row])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr


def test_a_precision_and_a_device_that_it_has_not_are_refused(path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"dtype is 'int8', but tiny\.gguf is computed with as it is quantised"
    ):
        checkpoint.load(path, precision="int8")
    with pytest.raises(SpecError, match="'cuda' needs a build of xllamacpp"):
        checkpoint.load(path, device="cuda")


def test_a_library_of_another_version_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = llama_library.llama_library()
    with pytest.raises(ArtifactError, match="its n_ctx is 512, not 513"):
        check_defaults(library.c.llama_context_default_params, {"n_ctx": 513})
    llama_library.llama_library.cache_clear()
    monkeypatch.setattr(llama_library, "VERSION", "0.1")
    with pytest.raises(ArtifactError, match=r"xllamacpp .* is installed, but this needs 0\.1"):
        checkpoint.load(path)


def test_the_missing_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llama_library.llama_library.cache_clear()
    monkeypatch.setattr(llama_library, "find_spec", {}.get)
    with pytest.raises(ArtifactError, match=r"pip install 'demur\[gguf\]'"):
        checkpoint.load(path)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["serve", "--checkpoint", str(tmp_path / "nothing.gguf"), "--port", "0"])
    assert ran.exit_code == 2
    assert "there is no file" in ran.output
