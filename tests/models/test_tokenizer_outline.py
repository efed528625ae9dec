"""A tokenizer is read from its file alone only where `AutoTokenizer` makes the same of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from models.hub_tokenizer import load_tokenizer
from models.tokenizer import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from models.tokenizer_outline import as_the_file_says

PIECES = ["▁", "a", "b", "▁a", "ab", *(f"<0x{byte:02X}>" for byte in range(256))]
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Gemma's tokenizer, whose class builds anew what is in the file."""
    from transformers import GemmaTokenizer

    vocabulary = {piece: id_ for id_, piece in enumerate([*SPECIAL, *PIECES])}
    merges: Any = [("▁", "a"), ("a", "b")]
    made: Any = GemmaTokenizer(vocab=vocabulary, merges=merges)
    made.save_pretrained(tmp_path)
    return tmp_path


def change(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | dict(values)), "utf-8")


def settings_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / TOKENIZER_CONFIG_FILE).read_text("utf-8"))


def by_transformers(folder: Path) -> dict[str, Any]:
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return json.loads(loaded.backend_tokenizer.to_str())


def test_what_the_class_makes_of_a_file_is_read_from_the_file(folder: Path) -> None:
    known = as_the_file_says(folder, settings_of(folder))
    assert known is not None
    loaded, backend = known
    assert json.loads(backend.to_str()) == by_transformers(folder)
    assert loaded.eos_token_id == SPECIAL.index("<eos>")
    assert load_tokenizer(folder, is_ours=False).encode("a ab") == backend.encode("a ab").ids


@pytest.mark.parametrize(
    "other",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": None},
        {"decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}},
    ],
)
def test_what_the_class_makes_otherwise_is_left_to_the_class(folder: Path, other: dict[str, Any]) -> None:
    change(folder / TOKENIZER_FILE, other)
    assert as_the_file_says(folder, settings_of(folder)) is None
    made = load_tokenizer(folder, is_ours=False)
    assert json.loads(made.to_json()) == by_transformers(folder)


@pytest.mark.parametrize("more", [{"fix_mistral_regex": True}, {"tokenizer_class": "LlamaTokenizer"}])
def test_where_the_vocabulary_may_count_no_outline_is_asked(folder: Path, more: dict[str, Any]) -> None:
    assert as_the_file_says(folder, settings_of(folder) | more) is None
