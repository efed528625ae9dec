"""What a terminal shows while a comparison runs: every arm so far, and how long the rest will take."""

from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.compare.outcome import LatencySample, Outcome
from app.compare.progress import Progress
from app.compare.results import Measure
from app.compare.spec import ComparisonSpec
from app.compare.statistics import share
from app.compare.summary import measure_of, problems_of, samples_of
from app.compare.table import worth_by


@dataclass
class _Tally:
    """An arm so far."""

    done: int = 0
    worth: float = 0.0
    graded: bool = False
    judged: int = 0
    abstained: int = 0
    tokens: int = 0
    discarded: int = 0


class LiveTable:
    """A table on standard error; use as a context manager, and tell it what has come."""

    def __init__(self, spec: ComparisonSpec) -> None:
        self._measure: Measure | None = measure_of(spec)
        self._problems = problems_of(spec)
        self._arms = {arm.name: _Tally() for arm in spec.arms}
        self._outcomes = Progress(self._problems * len(self._arms), 0)
        self._samples = Progress(samples_of(spec), 0)
        console = Console(stderr=True)
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4, transient=True)
        self._visible = console.is_terminal

    def __enter__(self) -> "LiveTable":
        if self._visible:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._visible:
            self._live.stop()

    def resume(self, outcomes: list[Outcome], samples: list[LatencySample]) -> None:
        """Take over what an earlier run has computed; it says nothing about how fast this one is."""
        for outcome in outcomes:
            self.outcome(outcome)
        self._outcomes.begin(len(outcomes))
        self._samples.begin(len(samples))

    def outcome(self, outcome: Outcome) -> None:
        """Another answer is there."""
        tally = self._arms[outcome.arm]
        worth = worth_by(outcome, self._measure)
        self._outcomes.advance()
        tally.done += 1
        tally.judged += worth is not None
        tally.worth += worth or 0.0
        tally.graded |= worth not in (None, 0, 1)
        tally.abstained += outcome.abstained
        tally.tokens += outcome.completion_tokens + outcome.discarded_tokens
        tally.discarded += outcome.discarded_tokens

    def sample(self, _: LatencySample) -> None:
        """Another answer was timed."""
        self._samples.advance()

    def render(self) -> RenderableType:
        """The table as it is now."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("arm", no_wrap=True)
        headings = ["problems", self._measure or "", "95% interval", "declined", "tokens", "discarded"]
        shown = [heading for heading in headings if self._measure or heading not in ("", "95% interval")]
        for heading in shown:
            table.add_column(heading, justify="right")
        for name, tally in self._arms.items():
            cells = dict(zip(headings, self._cells(tally), strict=True))
            table.add_row(Text(name), *(cells[heading] for heading in shown))
        line = Table.grid(padding=(0, 2))
        outcomes, samples = self._outcomes, self._samples
        if outcomes.done < outcomes.total:
            eta = "-" if outcomes.eta_s is None else str(timedelta(seconds=round(outcomes.eta_s)))
            counted = f"{outcomes.done} of {outcomes.total} answers"
            line.add_row(_bar(outcomes), counted, f"ETA {eta}")
        else:
            line.add_row(_bar(samples), f"timing answers one at a time: {samples.done} of {samples.total}")
        return Group(table, line)

    def _cells(self, tally: _Tally) -> list[str]:
        right = round(tally.worth)
        counted = None if tally.graded else share(np.repeat([1.0, 0.0], [right, tally.judged - right]))
        mean = f"{tally.worth / tally.judged:.1%}" if tally.judged else ""
        interval = "" if counted is None else f"{counted.low:.1%} to {counted.high:.1%}"
        return [
            f"{tally.done}/{self._problems}",
            mean,
            interval,
            str(tally.abstained),
            f"{tally.tokens / tally.done:.1f}" if tally.done else "",
            f"{tally.discarded / tally.done:.1f}" if tally.done else "",
        ]


def _bar(progress: Progress) -> ProgressBar:
    return ProgressBar(total=progress.total, completed=progress.done, width=30)
