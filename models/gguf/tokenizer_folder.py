"""The tokenizer of a GGUF, made once and kept.

transformers takes seconds to make it of a file, minutes of one with a large vocabulary. What came of that is
kept among the user's caches, by the hash of the file and by who made it."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from models.file_hashes import cache_folder
from models.files import rewriting
from models.gguf_file import GgufFacts, save_tokenizer
from models.tokenizer import TOKENIZER_FILE


@contextmanager
def tokenizer_folder(path: Path, facts: GgufFacts, digest: str) -> Generator[Path]:
    """A folder with the tokenizer of a GGUF; where nothing can be kept, a temporary one.

    digest: sha256 of the file.
    """
    try:
        folder = cache_folder() / "tokenizers" / f"{digest}-{version('transformers')}"
        if not (folder / TOKENIZER_FILE).is_file():
            with rewriting(folder) as partial:
                save_tokenizer(path, partial, facts)
    except (OSError, RuntimeError):  # a folder that nobody may write to, or nobody's home
        with TemporaryDirectory() as temporary:
            save_tokenizer(path, Path(temporary), facts)
            yield Path(temporary)
    else:
        yield folder
