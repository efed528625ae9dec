"""One process at a time works in a folder of comparisons: another would run the same ones beside it."""

import fcntl
import os
from pathlib import Path

from app.errors import ComparisonFolderError

_LOCK = ".lock"


class Claim:
    """A folder that is ours until `release`, or until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, if there is none, and claim it.

        Raises:
            ComparisonFolderError: it cannot be written, or another process works in it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise ComparisonFolderError(
                f"another server keeps its comparisons in {folder}; stop it, or give this one its own folder "
                "with DEMUR_COMPARISONS."
            ) from error

    def release(self) -> None:
        """Leave the folder to others."""
        os.close(self._file)


def unwritable(folder: Path, error: OSError) -> ComparisonFolderError:
    """The error for a folder that cannot be written."""
    return ComparisonFolderError(
        f"cannot write comparisons to {folder}: {error.strerror or error}. Make room or give the server the "
        "right to write there, or choose another folder with DEMUR_COMPARISONS."
    )
