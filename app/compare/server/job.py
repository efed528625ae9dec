"""One comparison of a server: what it runs on, how far it is, and what it has found so far."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from app.compare.problem_sets.sources import CorpusProblems, GivenProblems
from app.compare.progress import Progress
from app.compare.runner import Comparison
from app.compare.server.findings import Findings
from app.compare.server.shelf import KeptComparison
from app.compare.server.state import ComparisonStatus, KeptStatus, State, write_state
from app.compare.several_sets import parts_of
from app.compare.spec import ComparisonSpec
from app.compare.summary import problems_of
from app.errors import ParameterError
from app.redaction import without_folders
from models.corpora.registry import corpus_of

log = logging.getLogger(__name__)

MAX_PROBLEMS = 10_000
"""A rare split takes a millisecond per problem to draw, large problems more; all who are served feel it."""


class Job:
    """A comparison of a server. Whoever changes it holds the lock of its `Comparisons`.

    prepared: its comparison, where that is known already; drawing the problems takes a while.
    cancelled: it was asked to end.
    """

    def __init__(self, kept: KeptComparison, prepared: Comparison | None = None) -> None:
        self.kept = kept
        self.prepared = prepared
        self.state: State = kept.state
        self.outcomes = Progress(kept.state.total, kept.outcomes)
        self.samples = Progress(kept.state.samples, kept.samples)
        self.cancelled = False
        self._watchers: list[Callable[[], None]] = []
        self.findings = Findings(kept.folder, kept.spec)

    @property
    def id(self) -> str:
        """Names it, and its folder."""
        return self.kept.id

    def begin(self, outcomes: int, samples: int) -> None:
        """It begins to run, with what its folder holds."""
        self.outcomes.begin(outcomes)
        self.samples.begin(samples)

    def change(self, status: KeptStatus, **changes: object) -> None:
        """Change the state, in the folder too, and tell who watches."""
        self.state = self.state.model_copy(update={"status": status, **changes})
        try:
            write_state(self.kept.folder, self.state)
        except OSError as error:  # a restart then goes on from the state before, which does no harm
            log.error("cannot write the state of comparison %s: %s", self.id, error)
        self.tell()

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake`, which must not wait for anything, whenever it has changed. Returns what ends this.

        Needs no lock, so that an event loop may do it.
        """
        self._watchers.append(wake)
        return lambda: self._watchers.remove(wake)

    def tell(self) -> None:
        """Call whoever watches."""
        for wake in list(self._watchers):
            wake()

    def status(self) -> ComparisonStatus:
        """How far it is."""
        state = self.state
        # Of one that runs, or is going to, the run says so.
        missing = self.findings.missing if state.status in ("done", "cancelled") else None
        error = state.error if missing is None else missing
        phase = self.outcomes if self.outcomes.done < self.outcomes.total else self.samples
        eta_s = phase.eta_s if state.status == "running" else None
        return ComparisonStatus(
            id=self.id,
            name=self.kept.spec.name,
            status=state.status if missing is None else "damaged",
            done=self.outcomes.done,
            total=self.outcomes.total,
            samples_done=self.samples.done,
            samples_total=self.samples.total,
            eta_s=None if eta_s is None else round(eta_s, 1),
            arms=[arm.name for arm in self.kept.spec.arms],
            problems=self.outcomes.total // len(self.kept.spec.arms),
            created=int(state.created),
            started=_whole(state.started),
            finished=_whole(state.finished),
            error=None if error is None else without_folders(error),
        )


def require_modest(spec: ComparisonSpec, card: Mapping[str, Any]) -> None:
    """Raise `ParameterError` for more than a server draws at one request: too many problems, or too large."""
    parts = parts_of(spec.problems)
    if (count := problems_of(spec)) > MAX_PROBLEMS:
        field = "items" if isinstance(parts[0].problems, GivenProblems) else "count"
        where = f"problems.{field}" if len(parts) == 1 else "problems.sets"
        raise ParameterError(
            f"{where} asks for {count} problems; a server takes at most {MAX_PROBLEMS} at once. Ask for "
            "fewer, or use `demur compare` without a server.",
            param=where,
        )
    corpus = corpus_of(card)
    for part in parts:
        if corpus is not None and isinstance(part.problems, CorpusProblems):
            sizes = corpus.sizes
            if part.problems.ops[1] > sizes.max:
                raise ParameterError(
                    f"{part.where}.ops is {part.problems.ops}; this corpus has problems of {sizes.name} "
                    f"{sizes.min} to {sizes.max}.",
                    param=f"{part.where}.ops",
                )


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
