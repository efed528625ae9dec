"""The comparisons of a server: one runs, others wait, and all of them survive a restart."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from app.compare.runner import Comparison
from app.compare.served_model import Lender, lent
from app.compare.server.collection import Collection
from app.compare.server.job import Job, require_modest
from app.compare.server.job_run import JobRun
from app.compare.server.state import ComparisonStatus, KeptStatus, State, plain
from app.compare.spec import ComparisonSpec
from app.compare.summary import samples_of
from app.errors import (
    ComparisonStateError,
    DemurError,
    EngineStoppedError,
    OverloadedError,
)
from models.errors import ModelsError

log = logging.getLogger(__name__)

MAX_QUEUED = 64

T = TypeVar("T")


class Comparisons:
    """All comparisons kept in the folder `root`. Every method may be called from any thread.

    The folder is made with the first comparison. Other processes are kept out of it while this one works.
    """

    def __init__(self, root: Path) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._all = Collection(root)
        self._queue: deque[Job] = deque()
        self._lender: Lender | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self, lender: Lender) -> None:
        """Begin to run comparisons, first those that an earlier process left unfinished.

        Raises:
            ComparisonFolderError: the folder cannot be used. Every other method tries again.
        """
        with self._changed:
            if self._stopping or self._thread is not None:
                return
            self._lender = lender
            self._thread = threading.Thread(target=self._work, name="demur-compare", daemon=True)
            self._thread.start()
            self._open()

    def stop(self) -> None:
        """Leave off. What is unfinished goes on when a process starts again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            for job in self._all.jobs.values():
                job.tell()
        if self._thread is not None:
            self._thread.join()
        with self._changed:
            self._all.shelf.close()

    @property
    def stopping(self) -> bool:
        """Whether no more progress is to be expected of this process."""
        return self._stopping

    def submit(self, spec: ComparisonSpec) -> ComparisonStatus:
        """Take a comparison; it is on disk when this returns.

        Raises:
            RequestError: its models cannot run it; the message names the arm or the problem.
            OverloadedError: too many are waiting, or there is no memory for its models.
            EngineStoppedError: nothing runs any more, or not yet.
            ComparisonFolderError: it cannot be kept.
        """
        with lent(self._running(), spec) as models:
            require_modest(spec, models.of_corpus.card)
            return self._keep(Comparison(models, spec))

    def _keep(self, comparison: Comparison) -> ComparisonStatus:
        """Put a comparison on disk and into the line."""
        spec = comparison.spec
        with self._changed:
            self._running()
            if len(self._queue) >= MAX_QUEUED:
                raise OverloadedError(
                    f"{len(self._queue)} comparisons are waiting, and no more may. Cancel one."
                )
            self._open(make=True)
            state = State(
                status="queued", total=comparison.total, samples=samples_of(spec), created=time.time()
            )
            kept = self._all.shelf.add(spec, state, lambda folder: comparison.folder(folder).close())
            # Who waits long has it drawn again, and takes no room meanwhile; nor do models that may go.
            stays = not self._queue and set(spec.models) == {None}
            job = self._all.jobs[kept.id] = Job(kept, comparison if stays else None)
            self._enqueue(job)
            return job.status()

    def list(self) -> list[ComparisonStatus]:
        """All comparisons, the newest first.

        Raises:
            ComparisonFolderError: the folder cannot be used.
        """
        with self._changed:
            self._open()
            return self._all.statuses()

    def counts(self) -> Mapping[str, int]:
        """How many there are of each status. Needs no lock, which a submission holds while it waits for the
        disk: an event loop asks."""
        return self._all.counts()

    def status(self, id: str) -> ComparisonStatus:
        """How far one is.

        Raises:
            UnknownComparisonError: there is none of this id.
        """
        with self._changed:
            self._open()
            return self._all.status(id)

    def find(self, id: str) -> Job | None:
        """The one of this id, None if it is damaged. Raises `UnknownComparisonError` if there is none."""
        with self._changed:
            self._open()
            self._all.require(id)
            return self._all.jobs.get(id)

    def look(self, id: str, at: Callable[[Job], T]) -> T:
        """What `at` finds in one of them. It waits for the disk, so this holds no lock meanwhile.

        Raises:
            UnknownComparisonError: there is none of this id, or it was deleted while `at` looked.
            ComparisonFolderError: it is damaged.
        """
        with self._changed:
            job = self._job(id)
        try:
            return at(job)
        finally:  # what is found in a folder that goes away may be half a comparison
            self._all.require(id)

    def cancel(self, id: str) -> ComparisonStatus:
        """Ask one to end early; its outcomes are kept. One that waits ends at once, one that is over stays.

        Raises:
            UnknownComparisonError: there is none of this id.
            ComparisonFolderError: it is damaged.
        """
        with self._changed:
            job = self._job(id)
            if job in self._queue:
                self._queue.remove(job)
                job.prepared = None
                job.change("cancelled", finished=time.time())
            elif job.state.unfinished:
                job.cancelled = True
                self._changed.notify_all()
            return job.status()

    def resume(self, id: str) -> ComparisonStatus:
        """Let one go on that was cancelled or has failed.

        Raises:
            UnknownComparisonError: there is none of this id.
            ComparisonStateError: it is neither.
            EngineStoppedError: nothing runs any more.
        """
        with self._changed:
            job = self._job(id)
            if job.state.status not in ("cancelled", "failed"):
                raise ComparisonStateError(
                    f"comparison {id} is {job.state.status}; only one that is cancelled or failed can go on."
                )
            self._running()
            job.change("queued", error=None, finished=None)
            self._enqueue(job)
            return job.status()

    def delete(self, id: str) -> None:
        """Remove one with all that it has found.

        Raises:
            UnknownComparisonError: there is none of this id.
            ComparisonStateError: it runs.
            ComparisonFolderError: its folder cannot be removed.
        """
        with self._changed:
            self._open()
            self._all.require(id)
            job = self._all.jobs.get(id)
            if job is not None and job.state.unfinished and job not in self._queue:
                raise ComparisonStateError(
                    f"comparison {id} is running; cancel it first (POST /v1/compare/{id}/cancel), and delete "
                    "it once its status is cancelled."
                )
            self._all.remove(id)
            if job in self._queue:
                self._queue.remove(job)
            if job is not None:
                job.tell()

    def _work(self) -> None:
        """Run what waits, one after the other, until `stop`."""
        while (job := self._next()) is not None:
            try:
                complete = JobRun(job, self._running(), self._changed, lambda: self._stopping).compute()
            except EngineStoppedError as error:
                # We are being stopped, or the engine is broken: either way the next process goes on with it.
                log.warning("comparison %s waits for a restart: %s", job.id, error)
                with self._changed:
                    self._lender = None
                    job.change("queued")
                    self._queue.appendleft(job)
                return
            except Exception as error:
                if not isinstance(error, (DemurError, ModelsError)):
                    log.exception("comparison %s failed", job.id)
                self._finish(job, "failed", f"{error}" or type(error).__name__)
            else:
                self._finish(job, "done" if complete else "cancelled")

    def _next(self) -> Job | None:
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            job = self._queue.popleft()
            job.change("running", started=time.time(), finished=None, error=None)
            return job

    def _finish(self, job: Job, status: KeptStatus, error: str | None = None) -> None:
        error = None if error is None else plain(error)
        log.info("comparison %s is %s%s", job.id, status, f": {error}" if error else "")
        with self._changed:
            job.change(status, finished=time.time(), error=error)

    def _enqueue(self, job: Job) -> None:
        job.cancelled = False
        self._queue.append(job)
        self._changed.notify_all()

    def _job(self, id: str) -> Job:
        self._open()
        return self._all.job(id)

    def _running(self) -> Lender:
        if self._lender is None or self._stopping:
            raise EngineStoppedError("The engine is not running; try again later.")
        return self._lender

    def _open(self, *, make: bool = False) -> None:
        """Claim the folder, once, and take over what is in it. Without `make`, only if there is one."""
        if self._all.shelf.is_open or self._stopping or not (make or self._all.shelf.root.is_dir()):
            return
        for job in self._all.open():
            self._enqueue(job)
