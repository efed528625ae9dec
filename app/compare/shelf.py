"""Where a server keeps its comparisons: a folder for each below one, which is wholly there or not at all."""

import logging
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.compare.claim import Claim, unwritable
from app.compare.folder import LATENCY_FILE, OUTCOMES_FILE, read_spec
from app.compare.spec import ComparisonSpec
from app.compare.state import State, read_state, write_state
from app.errors import ComparisonFolderError

log = logging.getLogger(__name__)

_PREFIX = "compare-"
_MAKING, _DROPPING = ".making-", ".dropping-"


@dataclass(frozen=True)
class Kept:
    """A comparison as it is on disk, with the numbers of its outcomes and latency samples."""

    id: str
    folder: Path
    spec: ComparisonSpec
    state: State
    outcomes: int = 0
    samples: int = 0


class Shelf:
    """The folder `root`, which is ours from `open` on."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._claim: Claim | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is ours."""
        return self._claim is not None

    def open(self) -> None:
        """Make the folder if there is none, claim it, and clear away what a kill has left half made.

        Raises:
            ComparisonFolderError: it cannot be written, or another process works in it.
        """
        self._claim = Claim(self.root)
        for mark in (_MAKING, _DROPPING):
            for left in self.root.glob(f"{mark}*"):
                shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Leave it to others."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def read(self) -> Iterator[Kept]:
        """All comparisons, the oldest first. One that cannot be read is left out, and the log says why."""
        found: list[Kept] = []
        for folder in self.root.glob(f"{_PREFIX}*"):
            try:
                state = read_state(folder)
                outcomes, samples = (_count_lines(folder / name) for name in (OUTCOMES_FILE, LATENCY_FILE))
                found.append(Kept(folder.name, folder, read_spec(folder), state, outcomes, samples))
            except (ComparisonFolderError, OSError) as error:
                log.warning("a comparison is left out: %s", error)
        yield from sorted(found, key=lambda kept: kept.state.created)

    def add(self, spec: ComparisonSpec, state: State, fill: Callable[[Path], None]) -> Kept:
        """Keep a new comparison; a kill leaves all of it or none.

        fill: writes what else belongs into the folder that it is given.

        Raises:
            ComparisonFolderError: it cannot be written.
        """
        id = _PREFIX + secrets.token_hex(12)
        making, folder = self.root / f"{_MAKING}{id}", self.root / id
        try:
            fill(making)
            write_state(making, state)
            making.rename(folder)
        except OSError as error:
            raise unwritable(self.root, error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return Kept(id, folder, spec, state)

    def remove(self, kept: Path) -> None:
        """Remove a comparison's folder; a kill leaves all of it or none.

        Raises:
            ComparisonFolderError: it cannot be written.
        """
        dropping = kept.with_name(f"{_DROPPING}{kept.name}")
        try:
            kept.rename(dropping)
        except FileNotFoundError:
            return  # somebody has removed it by hand
        except OSError as error:
            raise unwritable(self.root, error) from error
        shutil.rmtree(dropping, ignore_errors=True)


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
