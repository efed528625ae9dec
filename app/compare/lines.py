"""Files of lines that only grow: a line is on disk before anybody hears of it, and no kill spoils one."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from app.errors import ComparisonFolderError

Record = TypeVar("Record", bound=BaseModel)


class Lines:
    """A file that this process alone appends lines to; what a kill left of a last line is cut off when it is
    opened.

    Raises:
        ComparisonFolderError: it cannot be opened or written, or another process has it open; or, from
            `append`, there is no room.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            self._claim()
            self._end = self._cut()
        except BaseException:
            self.close()
            raise

    def append(self, line: str) -> None:
        """Add a line; when this returns, it is on disk."""
        content = line.encode() + b"\n"
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(self.file, content[written:], self._end + written)
            os.fsync(self.file)
        except OSError as error:
            with suppress(OSError):  # where this fails too, the half line is cut off at the next start
                os.ftruncate(self.file, self._end)  # a disk that is full may have taken half of it
            raise unusable(self.path, error) from error
        self.require_in_place()
        self._end += len(content)

    def replace(self, lines: Sequence[str]) -> None:
        """Have other lines in the file, in one go: whatever happens, it holds the old ones or the new."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.unlink(missing_ok=True)  # left by a kill
        fresh = Lines(partial)  # claimed before it takes the other's place
        try:
            for line in lines:
                fresh.append(line)
            partial.replace(self.path)
        except BaseException:
            fresh.close()
            raise
        self.close()
        self.file, self._end = fresh.file, fresh._end

    def require_in_place(self) -> None:
        """Raise `ComparisonFolderError` if the file is no longer where it was opened: what is written then
        is lost to whoever looks for it."""
        try:
            there = os.stat(self.path)
        except OSError as error:
            raise gone(self.path) from error
        if not os.path.samestat(there, os.fstat(self.file)):
            raise gone(self.path)

    def close(self) -> None:
        """Let other processes have it."""
        os.close(self.file)

    def _claim(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ComparisonFolderError(
                f"another process is running the comparison in {self.path.parent}; wait for it, or choose "
                "another folder."
            ) from error

    def _cut(self) -> int:
        """Where the last whole line ends. Only after `_claim`, as others may be writing the rest."""
        try:
            content = self.path.read_bytes()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                os.ftruncate(self.file, end)
                os.fsync(self.file)
        except OSError as error:
            raise unusable(self.path, error) from error
        return end


def read_lines(path: Path, kind: type[Record]) -> list[Record]:
    """The records in a file, none where there is no file; the beginning of a last line does not count.

    Raises:
        ComparisonFolderError: the file cannot be read, or a line is none of the kind.
    """
    try:
        *whole, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unusable(path, error) from error
    records: list[Record] = []
    for number, line in enumerate(whole, 1):
        try:
            records.append(kind.model_validate_json(line))
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]
            place = ".".join(map(str, reason["loc"])) or "the line"
            raise _damaged(path, number, f"{place}: {reason['msg']}") from None
    return records


def require_json(path: Path, number: int, line: bytes) -> None:
    """Raise `ComparisonFolderError` unless the line, which has this number in the file, is a JSON object."""
    try:
        if not isinstance(from_json(line, allow_inf_nan=False), dict):
            raise _damaged(path, number, "it is no JSON object")
    except ValueError as error:
        raise _damaged(path, number, f"{error}") from None


def _damaged(path: Path, number: int, reason: str) -> ComparisonFolderError:
    return ComparisonFolderError(
        f"{path}, line {number} is damaged: {reason}. Take the line out to have it computed again, or start "
        "anew in another folder."
    )


def gone(path: Path) -> ComparisonFolderError:
    """The error for a file that was there when the run began."""
    return ComparisonFolderError(
        f"{path} was deleted, moved or replaced while the comparison ran, so it was stopped. Put the folder "
        "back and let it go on, or run the comparison anew."
    )


def unusable(path: Path, error: OSError) -> ComparisonFolderError:
    """The error for a file or folder that the system does not let us use."""
    return ComparisonFolderError(
        f"cannot use {path}: {error.strerror or error}. Make room or give the right to write there, or "
        "choose another folder."
    )
