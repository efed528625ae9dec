"""What a server keeps: comparisons, and folders that were some once but cannot be read."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from app.compare.server.job import Job
from app.compare.server.shelf import DamagedComparison, Shelf
from app.compare.server.state import STATUSES, ComparisonStatus
from app.errors import ComparisonFolderError, UnknownComparisonError


class Collection:
    """By id. Whoever uses it holds the lock of its `Comparisons`."""

    def __init__(self, root: Path) -> None:
        self.shelf = Shelf(root)
        self.jobs: dict[str, Job] = {}
        self.damaged: dict[str, DamagedComparison] = {}

    def open(self) -> list[Job]:
        """Claim the folder, and take over what is in it. Returns what is unfinished, the oldest first.

        Raises:
            ComparisonFolderError: it cannot be used.
        """
        self.shelf.open()
        whole, damaged = self.shelf.read()
        self.jobs = {kept.id: Job(kept) for kept in whole}
        self.damaged = {each.id: each for each in damaged}
        return [job for job in self.jobs.values() if job.state.unfinished]

    def remove(self, id: str) -> None:
        """Remove one, and its folder.

        Raises:
            ComparisonFolderError: that cannot be done.
        """
        whole, damaged = self.jobs.get(id), self.damaged.get(id)
        if whole is not None:
            self.shelf.remove(whole.kept.folder)
            del self.jobs[id]
        elif damaged is not None:
            self.shelf.remove(damaged.folder)
            del self.damaged[id]

    def statuses(self) -> list[ComparisonStatus]:
        """Of all, the newest first."""
        found = [(job.state.created, job.status()) for job in self.jobs.values()]
        found += [(each.created, each.status()) for each in self.damaged.values()]
        return [status for _, status in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def status(self, id: str) -> ComparisonStatus:
        """Of one.

        Raises:
            UnknownComparisonError: there is none of this id.
        """
        self.require(id)
        return self.damaged[id].status() if id in self.damaged else self.jobs[id].status()

    def counts(self) -> Mapping[str, int]:
        """How many there are of each status. Needs no lock."""
        found = Counter(str(job.state.status) for job in list(self.jobs.values()))
        found["damaged"] = len(self.damaged)
        return {status: found[status] for status in STATUSES}

    def job(self, id: str) -> Job:
        """The one of this id.

        Raises:
            UnknownComparisonError: there is none.
            ComparisonFolderError: it is damaged.
        """
        self.require(id)
        if id in self.damaged:
            raise ComparisonFolderError(self.damaged[id].reason)
        return self.jobs[id]

    def require(self, id: str) -> None:
        """Raise `UnknownComparisonError` unless there is one of this id."""
        if id not in self.jobs and id not in self.damaged:
            raise UnknownComparisonError(f"there is no comparison {id!r}; GET /v1/compare lists them all.")
