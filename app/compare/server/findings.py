"""What a comparison has found so far, read from its folder while another thread writes there."""

import threading
import time
from itertools import islice
from pathlib import Path

from app.compare.folder import (
    OUTCOMES_FILE,
    PAGE_FILE,
    REPORT_FILE,
    About,
    RunFolder,
    read_about,
    read_latency,
    read_outcomes,
)
from app.compare.lines import require_json, unusable
from app.compare.outcome import LatencySample, Outcome
from app.compare.results import ComparisonReport
from app.compare.spec import ComparisonSpec
from app.compare.summary import summarise
from app.errors import ComparisonFolderError

PAGE_BYTES = 4 * 2**20
"""Most bytes of a part of a file that is read in one go, one line apart: lines with signals are long."""

_SHARE = 0.1
"""Most of the time that may go into reports of an unfinished run, however often somebody asks for one."""


class Findings:
    """The outcomes and the report of the comparison in a folder, as far as it is. For any thread."""

    def __init__(self, path: Path, spec: ComparisonSpec) -> None:
        self._path = path
        self._spec = spec
        self._one_at_a_time = threading.Lock()
        self._last: tuple[ComparisonReport, list[Outcome]] | None = None
        self._good_until = 0.0

    @property
    def missing(self) -> str | None:
        """What to say where the folder is gone; None where it is there."""
        if self._path.is_dir():
            return None
        return (
            f"the folder {self._path.name} is gone: it was deleted or moved while the server ran. Put it "
            "back, or delete the comparison."
        )

    def lines(self, name: str, after: int, limit: int) -> list[bytes]:
        """Lines of a file as they stand there, `limit` of them at most, but the first `after`. They are fewer
        where they are long.

        Raises:
            ComparisonFolderError: the file cannot be read, or a line is damaged.
        """
        path = self._path / name
        found: list[bytes] = []
        size = 0
        try:
            with path.open("rb") as file:
                for line in islice(file, after, after + limit):
                    size += len(line)
                    if not line.endswith(b"\n") or (found and size > PAGE_BYTES):
                        break
                    found.append(line.rstrip())
        except FileNotFoundError:
            self._require_folder()
            return []
        except OSError as error:
            raise unusable(path, error) from error
        for number, line in enumerate(found, after + 1):
            require_json(path, number, line)
        return found

    def report(self, *, growing: bool) -> str:
        """The report as JSON: the one that was written in the end, else one of what there is.

        growing: more is coming, so the report may be of a little while ago.

        Raises:
            ComparisonFolderError: the folder cannot be read.
        """
        return self._written(REPORT_FILE) or self._so_far(growing)[0].model_dump_json()

    def page(self, *, growing: bool) -> str:
        """The report as a page, in the same way.

        Raises:
            ComparisonFolderError: the folder cannot be read.
        """
        return self._written(PAGE_FILE) or _page(*self._so_far(growing), read_about(self._path))

    def write(self, folder: RunFolder) -> None:
        """Write the report and its page in the end.

        Raises:
            ComparisonFolderError: the folder cannot be written.
        """
        write_report(folder)
        with self._one_at_a_time:
            self._last = None

    def _written(self, name: str) -> str | None:
        try:
            return (self._path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            self._require_folder()
            return None
        except OSError as error:
            raise unusable(self._path / name, error) from error

    def _require_folder(self) -> None:
        if (missing := self.missing) is not None:
            raise ComparisonFolderError(missing)

    def _so_far(self, growing: bool) -> tuple[ComparisonReport, list[Outcome]]:
        with self._one_at_a_time:
            began = time.monotonic()
            if growing and self._last is not None and began <= self._good_until:
                return self._last
            outcomes, latency = read_outcomes(self._path), read_latency(self._path)
            found = _summary(self._path, self._spec, outcomes, latency), outcomes
            now = time.monotonic()
            self._good_until = now + (now - began) / _SHARE
            # There may be many comparisons, each of hundreds of thousands of outcomes; one of them grows.
            self._last = found if growing else None
            return found


def write_report(folder: RunFolder) -> ComparisonReport:
    """Write report.json and report.html of all that the folder holds, and return the report.

    Raises:
        ComparisonFolderError: the folder cannot be written.
    """
    report = _summary(folder.path, folder.spec, folder.outcomes, folder.latency)
    page = _page(report, folder.outcomes, folder.about)
    folder.write_report(report.model_dump_json(indent=2) + "\n", page)
    return report


def _page(report: ComparisonReport, outcomes: list[Outcome], about: About) -> str:
    from app.compare.report.page import render  # brings matplotlib along: not before somebody asks for a page

    return render(report, outcomes, about)


def _summary(
    path: Path, spec: ComparisonSpec, outcomes: list[Outcome], latency: list[LatencySample]
) -> ComparisonReport:
    try:
        return summarise(spec, outcomes, latency)
    except ValueError as error:  # lines that are whole, but not of this comparison, or there twice
        raise ComparisonFolderError(
            f"{path / OUTCOMES_FILE} is damaged: {error}. Take the line out, or start anew in another folder."
        ) from error
