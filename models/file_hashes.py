"""sha256 of files; of large ones it is kept among the user's caches, since a gigabyte takes a second."""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from models.errors import ArtifactError
from models.files import hash_of_files, write_atomically

LARGE = 64 * 2**20
"""Bytes from which on a hash is kept."""
_SETTLED = 2 * 10**9
"""Nanoseconds since the last change of a file: what changes twice within a tick of a file system's clock may
look the same afterwards."""
_HASH = re.compile("[0-9a-f]{64}")

Version = tuple[str, int, int, int, int, int]
"""Path, device, inode, size, and when content, and anything, was changed last; nobody can set the latter."""


def cache_folder() -> Path:
    """Where what can be made again is kept for this user.

    Raises:
        RuntimeError: there is no home.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "demur"


def known_hash(paths: Sequence[Path]) -> str:
    """sha256, in hex, of files one after the other; computed once as long as none of them changes.

    Raises:
        ArtifactError: one cannot be read.
    """
    versions = [_version(path) for path in paths]
    if sum(size for _, _, _, size, _, _ in versions) < LARGE:
        return hash_of_files(paths)
    with suppress(OSError, RuntimeError, UnicodeDecodeError):  # then it is computed
        kept = _place(versions).read_text("ascii")
        if _HASH.fullmatch(kept):
            return kept
    found = hash_of_files(paths)
    latest = max(changed for *_, changed in versions)
    if time.time_ns() - latest > _SETTLED and versions == [_version(path) for path in paths]:
        with suppress(OSError, RuntimeError):  # a folder that nobody may write to, or nobody's home
            place = _place(versions)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, found.encode())
    return found


def _place(versions: Sequence[Version]) -> Path:
    return cache_folder() / "hashes" / sha256(repr(versions).encode()).hexdigest()


def _version(path: Path) -> Version:
    try:
        path = path.resolve()
        found = path.stat()
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    times = found.st_mtime_ns, found.st_ctime_ns
    return str(path), found.st_dev, found.st_ino, found.st_size, *times
