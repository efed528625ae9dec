"""One run of a comparison of a server: until it is complete, cancelled, or the server stops."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from app.compare.outcome import LatencySample, Outcome
from app.compare.runner import Comparison
from app.compare.served_model import Lender, LentModels, lent
from app.compare.server.job import Job
from app.errors import EngineStoppedError, OverloadedError

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0
"""How long a run waits before it asks for its models again, where there was no memory for them."""


@dataclass(frozen=True)
class JobRun:
    """A job that is to run. changed: the lock of its `Comparisons`. stopping: whether the server stops."""

    job: Job
    lender: Lender
    changed: threading.Condition
    stopping: Callable[[], bool]

    def compute(self) -> bool:
        """Compute what is missing of it. Returns whether it is complete; else it was cancelled.

        Raises:
            EngineStoppedError: it can go on in another process.
            Exception: it cannot.
        """
        job = self.job
        with ExitStack() as loans:
            models = self._models(loans)
            if models is None:
                return False
            comparison = job.prepared or Comparison(models, job.kept.spec)
            job.prepared = None
            folder = loans.enter_context(comparison.folder(job.kept.folder, must_exist=True))
            with self.changed:
                job.begin(len(folder.outcomes), len(folder.latency))
            complete = comparison.run(folder, self._count, self._count_sample, self._over)
            if complete:
                job.findings.write(folder)
            else:
                self._require_going()
        return complete

    def _models(self, loans: ExitStack) -> LentModels | None:
        """Its models, once there is memory for them; None if it was cancelled before."""
        while not self.job.cancelled:
            self._require_going()
            try:
                return loans.enter_context(lent(self.lender, self.job.kept.spec))
            except OverloadedError as error:
                log.info("comparison %s waits: %s", self.job.id, error)
            with self.changed:
                self.changed.wait_for(self._over, _AGAIN_SECONDS)
        return None

    def _over(self) -> bool:
        return self.job.cancelled or self.stopping()

    def _require_going(self) -> None:
        """Raise `EngineStoppedError` if the server stops, and the next process is to go on with it."""
        if self.stopping() and not self.job.cancelled:
            raise EngineStoppedError("the server is stopping")

    def _count(self, _: Outcome) -> None:
        with self.changed:
            self.job.outcomes.advance()
            self.job.tell()

    def _count_sample(self, _: LatencySample) -> None:
        with self.changed:
            self.job.samples.advance()
            self.job.tell()
