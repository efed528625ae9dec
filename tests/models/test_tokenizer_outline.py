"""A tokenizer is read from its file alone only where `AutoTokenizer` makes the same of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from models.errors import ArtifactError
from models.hub_tokenizer import load_tokenizer
from models.tokenizer import OWN_CONFIG, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
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


def test_added_tokens_that_are_numbered_by_the_class_are_left_to_the_class(folder: Path) -> None:
    file = json.loads((folder / TOKENIZER_FILE).read_text("utf-8"))
    first = len(file["model"]["vocab"])
    how = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    names = ("<one>", "<other>")
    added = [{"id": first + place, "content": name, **how} for place, name in enumerate(names)]
    change(folder / TOKENIZER_FILE, {"added_tokens": [*file["added_tokens"], *added]})
    # Added the other way round.
    decoder = {str(first + place): {"content": name, **how} for place, name in enumerate(names[::-1])}
    decoder = {id_: decoder[id_] for id_ in sorted(decoder, reverse=True)}
    change(folder / TOKENIZER_CONFIG_FILE, {"added_tokens_decoder": decoder})
    made = load_tokenizer(folder, is_ours=False)
    assert json.loads(made.to_json()) == by_transformers(folder)
    assert as_the_file_says(folder, settings_of(folder)) is None


@pytest.mark.parametrize("is_ours", [False, True])
def test_a_file_over_which_the_library_panics_is_refused_as_any_other(folder: Path, is_ours: bool) -> None:
    model = json.loads((folder / TOKENIZER_FILE).read_text("utf-8"))["model"]
    change(folder / TOKENIZER_FILE, {"model": model | {"continuing_subword_prefix": "##"}})
    if is_ours:
        (folder / TOKENIZER_CONFIG_FILE).write_text(json.dumps(OWN_CONFIG), "utf-8")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        load_tokenizer(folder, is_ours=is_ours)
