"""Whether a class of transformers makes a tokenizer what its file says: asked of an outline, as to build
hundreds of thousands of tokens in Python takes twice as long as to read them."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tokenizers
from tokenizers import models

from models.tokenizer import TOKENIZER_FILE

OUTLINED = frozenset({"GemmaTokenizer", "GemmaTokenizerFast"})
"""Classes that build a tokenizer anew of what is in a file, and treat every vocabulary alike, so a small one
shows what they do to a large one. Others read the file themselves, or look at the vocabulary."""

_MODEL_SETTINGS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
)
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def as_the_file_says(folder: Path, settings: Mapping[str, Any]) -> tuple[Any, tokenizers.Tokenizer] | None:
    """What `AutoTokenizer` makes of an outline of a folder's tokenizer, and the tokenizer itself; None where
    that might be another than `AutoTokenizer` makes of the folder.

    settings: the folder's `tokenizer_config.json`.
    """
    if settings.get("tokenizer_class") not in OUTLINED or "fix_mistral_regex" in settings:
        return None
    backend: Any = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    if not isinstance(backend.model, models.BPE) or _has_numbered_by_order(backend):
        return None
    outline = _outline(backend)
    loaded = _loaded_with(outline, folder)
    return (loaded, backend) if loaded.backend_tokenizer.to_str() == outline.to_str() else None


def _has_numbered_by_order(backend: Any) -> bool:
    """Whether added tokens are not in the vocabulary: then each has the id that is next when it is added, and
    a class may add them in another order than the file does."""
    added = backend.get_added_tokens_decoder().values()
    return any(backend.model.token_to_id(token.content) is None for token in added)


def _outline(backend: Any) -> Any:
    """The same tokenizer with no tokens but the added ones."""
    added: dict[int, Any] = backend.get_added_tokens_decoder()
    given = {name: getattr(backend.model, name) for name in _MODEL_SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    vocabulary = {token.content: id_ for id_, token in added.items()}
    outline: Any = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[], **given))
    for part in _PARTS:
        if (value := getattr(backend, part)) is not None:
            setattr(outline, part, value)
    outline.add_tokens([added[id_] for id_ in sorted(added)])
    return outline


def by_its_class(folder: Path) -> Any:
    """What `AutoTokenizer` makes of a folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _loaded_with(backend: Any, folder: Path) -> Any:
    """`by_its_class` of a folder with another tokenizer in its place."""
    with TemporaryDirectory() as temporary:
        for path in folder.iterdir():
            if path.name != TOKENIZER_FILE:
                (Path(temporary) / path.name).symlink_to(path.resolve())
        backend.save(str(Path(temporary) / TOKENIZER_FILE))
        return by_its_class(Path(temporary))
