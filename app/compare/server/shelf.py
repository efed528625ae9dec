"""Where a server keeps its comparisons: a folder for each below one, which is wholly there or not at all."""

import logging
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.compare.folder import LATENCY_FILE, OUTCOMES_FILE, read_spec
from app.compare.server.claim import Claim, unwritable
from app.compare.server.state import ComparisonStatus, State, plain, read_state, write_state
from app.compare.spec import ComparisonSpec
from app.compare.summary import problems_of

log = logging.getLogger(__name__)

_PREFIX = "compare-"
_MAKING, _DROPPING = ".making-", ".dropping-"


@dataclass(frozen=True)
class DamagedComparison:
    """A folder that was a comparison. reason: what is wrong with it, and the fix. spec: if it is whole."""

    id: str
    folder: Path
    reason: str
    created: float
    spec: ComparisonSpec | None = None

    def status(self) -> ComparisonStatus:
        """What there is to say of it."""
        spec = self.spec
        return ComparisonStatus(
            id=self.id,
            name=None if spec is None else spec.name,
            status="damaged",
            done=0,
            total=0,
            samples_done=0,
            samples_total=0,
            eta_s=None,
            arms=[] if spec is None else [arm.name for arm in spec.arms],
            problems=0 if spec is None else problems_of(spec),
            created=int(self.created),
            started=None,
            finished=None,
            error=self.reason,
        )


@dataclass(frozen=True)
class KeptComparison:
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
                _erase(left)

    def close(self) -> None:
        """Leave it to others."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def read(self) -> tuple[list[KeptComparison], list[DamagedComparison]]:
        """All comparisons, the oldest first, and what cannot be read of them."""
        kept: list[KeptComparison] = []
        damaged: list[DamagedComparison] = []
        for folder in self.root.glob(f"{_PREFIX}*"):
            if not (folder.name.isascii() and folder.name.isprintable()):
                log.warning("%r is left out: no comparison has such a name", folder.name)
                continue
            try:
                kept.append(_read(folder))
            except Exception as error:  # whatever is in there, the others are none the worse for it
                reason = plain(f"{error}" or type(error).__name__).rstrip(".")
                log.warning("comparison %s is damaged: %s", folder.name, reason)
                # Who asks over HTTP has no business with where that is on this machine.
                damaged.append(_damaged(folder, reason.replace(f"{self.root}/", "")))
        return sorted(kept, key=lambda each: each.state.created), damaged

    def add(self, spec: ComparisonSpec, state: State, fill: Callable[[Path], None]) -> KeptComparison:
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
        return KeptComparison(id, folder, spec, state)

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
        _erase(dropping)


def _read(folder: Path) -> KeptComparison:
    """The comparison in a folder.

    Raises:
        Exception: it holds none, or a damaged one.
    """
    state, spec = read_state(folder), read_spec(folder)
    outcomes, samples = (_count_lines(folder / name) for name in (OUTCOMES_FILE, LATENCY_FILE))
    return KeptComparison(folder.name, folder, spec, state, outcomes, samples)


def _damaged(folder: Path, reason: str) -> DamagedComparison:
    spec, created = None, 0.0
    with suppress(Exception):
        created = folder.lstat().st_mtime
        spec = read_spec(folder)
    return DamagedComparison(
        folder.name,
        folder,
        f"{reason}. What was found is still in its folder: mend it and start the server anew, or delete it.",
        created,
        spec,
    )


def _erase(path: Path) -> None:
    """Remove a folder with all there is in it, or whatever else has its name, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _count_lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
