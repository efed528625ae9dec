"""Reading and writing artifacts: errors that name the file, and replacements that a kill cannot tear."""

import ctypes
import io
import json
import os
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from models.errors import ArtifactError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def is_gguf(checkpoint: Path) -> bool:
    """Whether a checkpoint is one file, of llama.cpp's format, and not a folder."""
    return checkpoint.suffix == ".gguf" or checkpoint.is_file()


def beside(checkpoint: Path, name: str) -> Path:
    """Where a file lies that belongs to a checkpoint: in its folder, or beside a GGUF, under its name."""
    return checkpoint.with_name(f"{checkpoint.name}.{name}") if is_gguf(checkpoint) else checkpoint / name


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error


def hash_of_files(paths: Iterable[Path]) -> str:
    """sha256, in hex, of files one after the other, piece by piece: a large one is never in memory whole.

    Raises:
        ArtifactError: one cannot be read.
    """
    digest = sha256()
    for path in paths:
        with opened(path) as file:
            file_digest(file, lambda: digest)
    return digest.hexdigest()


@contextmanager
def opened(path: Path) -> Generator[io.BufferedReader]:
    """A file to be read from.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ArtifactError: the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content; readers and kills see the old content or the new, nothing between."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def rewriting(folder: Path) -> Generator[Path]:
    """A copy of a folder, or an empty one, to be changed at will; in the end it takes the folder's place.

    A kill, or an exception, leaves the folder as it was; what a kill leaves of the copy goes with the next
    attempt.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if folder.exists():
        shutil.copytree(folder, partial)
    else:
        partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    replace_folder(partial, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Put the folder `new` in the place of `folder`, whose files are lost; both are on one filesystem.

    Where the system can exchange two names (Linux), a kill at any moment leaves the old folder or the new.
    Elsewhere the old one is moved away first, so for the instant between two renames there is none.
    """
    if not folder.exists():
        new.rename(folder)
        return
    if not _exchange(new, folder):
        aside = new.with_name(new.name + ".old")
        folder.rename(aside)
        new.rename(folder)
        new = aside
    shutil.rmtree(new)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step, by `renameat2`; False where system or filesystem has no such call."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0
