"""The tokenizer of a checkpoint folder, whoever made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.chat_template import ChatTemplate
from models.errors import ArtifactError, first_line, is_failure
from models.files import read_bytes, read_json
from models.tokenizer import (
    CHAT_TEMPLATE_FILE,
    OWN_CONFIG,
    OWN_SPECIAL_TOKENS,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    Tokenizer,
)
from models.tokenizer_outline import as_the_file_says, by_its_class


def load_tokenizer(folder: Path, is_ours: bool) -> Tokenizer:
    """Read a folder's tokenizer and chat template.

    What transformers' `AutoTokenizer` makes of a folder depends on more than `tokenizer.json`: on
    `tokenizer_config.json`, on the make of the model, on what is known to be wrong with some. So it reads
    every folder but those that `demur pretrain` wrote, of which it is tested to make nothing else. Of some
    large ones it reads an outline; see `models.tokenizer_outline`.

    Args:
        is_ours: whether the folder's network is one of ours.

    Raises:
        ArtifactError: a file is missing or damaged, or the tokenizer is of a kind that is not supported.
    """
    path = folder / TOKENIZER_FILE
    settings_file = folder / TOKENIZER_CONFIG_FILE
    settings = read_json(settings_file) if settings_file.exists() else {}
    if is_ours and settings == OWN_CONFIG:
        return Tokenizer.load(path, _own_template(folder))
    try:
        return _through_transformers(folder, settings)
    except ArtifactError as error:
        read_json(path)  # so that what is wrong with the file is said in our words
        raise ArtifactError(f"{path}: {error}") from error


def _own_template(folder: Path) -> ChatTemplate | None:
    path = folder / CHAT_TEMPLATE_FILE
    if not path.exists():
        return None
    return ChatTemplate(read_bytes(path).decode(), OWN_SPECIAL_TOKENS)


def _through_transformers(folder: Path, settings: Mapping[str, Any]) -> Tokenizer:
    try:
        loaded, backend = as_the_file_says(folder, settings) or (by_its_class(folder), None)
    except BaseException as error:  # whatever the code of some tokenizer stumbles over in a damaged file
        if not is_failure(error):
            raise
        raise ArtifactError(f"transformers cannot load this tokenizer: {first_line(error)}") from error
    if not loaded.is_fast:
        raise ArtifactError(
            f"transformers has only a {type(loaded).__name__} in Python for it; save it as a fast one"
        )
    template = _template(loaded)
    if template is not None:
        template.check()
    return Tokenizer(backend or loaded.backend_tokenizer, template, loaded.eos_token_id)


def _template(loaded: Any) -> ChatTemplate | None:
    """Of several templates the one for chats without tools and documents."""
    source = loaded.chat_template
    if isinstance(source, dict):
        source = source.get("default")
    return None if source is None else ChatTemplate(source, dict(loaded.special_tokens_map))
