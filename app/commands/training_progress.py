"""What a terminal shows while a model is pretrained: a progress bar with ETA and a table per validation."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.evaluate import OpResult
from models.pretrain import Observer
from models.training.config import PretrainConfig
from models.training.log import LossRow
from models.training.state import Progress as RunProgress


class TrainingProgress:
    """A progress display; use as a context manager and hand `observer` to the trainer."""

    def __init__(self, config: PretrainConfig, run: Path) -> None:
        self._console = Console(stderr=True)
        self._run = run
        self._bar = Progress(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self._console,
            speed_estimate_period=300,
        )
        self._task = self._bar.add_task("pretrain", total=config.steps, detail="compiling ...", start=False)
        self._previous: LossRow | None = None
        self.observer = Observer(started=self._started, stepped=self._stepped, validated=self._validated)

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _started(self, config: PretrainConfig, progress: RunProgress) -> None:
        where = f"resumed at step {progress.step}" if progress.step else "new run"
        self._console.print(f"{where} in {self._run}: {config.steps} steps, {config.tokens / 1e6:g}M tokens")
        self._bar.update(self._task, completed=progress.step)
        self._bar.start_task(self._task)

    def _stepped(self, row: LossRow) -> None:
        previous = self._previous
        self._previous = row
        speed = ""
        if previous is not None and row.seconds > previous.seconds:
            speed = f"  {(row.tokens - previous.tokens) / (row.seconds - previous.seconds):,.0f} tokens/s"
        detail = f"{row.tokens / 1e6:.2f}M tokens  solution loss {row.solution_loss:.4f}{speed}"
        self._bar.update(self._task, completed=row.step, detail=detail)

    def _validated(self, step: int, results: Sequence[OpResult]) -> None:
        by_op = "  ".join(
            f"op {result.op}: {100 * result.solved / result.problems:.0f}%" for result in results
        )
        self._console.print(f"validation after step {step}: {by_op}")
