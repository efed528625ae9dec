"""What a terminal shows while a finding is run: a bar over all stages with the time that is left."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.findings.running import Watcher


@contextmanager
def watching(name: str) -> "Generator[Watcher]":
    """A watcher that draws on standard error. Stages count by what they cost."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from app.findings.running import Watcher

    console = Console(stderr=True)
    with Progress(
        TextColumn(name),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=300,
    ) as bar:
        task = bar.add_task(name, total=1.0)
        yield Watcher(
            stage=lambda stage, seed: console.print(f"{stage}, seed {seed}"),
            done=lambda share: bar.update(task, completed=share),
        )
