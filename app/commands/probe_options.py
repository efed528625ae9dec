"""What the commands of `demur probe` share: their options, where a run lives, and how progress is shown."""

import shlex
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from app.commands.checkout import commit

if TYPE_CHECKING:
    from models.checkpoint import LoadedCheckpoint

RunOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of labels, probes and report.  [default: runs/probes/ and the checkpoint's name]"
    ),
]
LabelsOption = Annotated[
    list[Path] | None,
    typer.Option(help="JSON Lines of labelled completions; may be repeated.  [default: those of the run]"),
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Threads.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same labels.")]


def load(checkpoint: Path | None) -> "LoadedCheckpoint":
    """The checkpoint of an option."""
    from app.settings import EMBEDDED_CHECKPOINT
    from models import checkpoint as checkpoints

    return checkpoints.load(checkpoint if checkpoint is not None else EMBEDDED_CHECKPOINT)


def run_folder(run: Path | None, loaded: "LoadedCheckpoint") -> Path:
    """Where a run lives."""
    return run if run is not None else Path("runs") / "probes" / loaded.model.spec.name


@contextmanager
def progress(what: str, total: int) -> Generator[Callable[[int], None]]:
    """A progress bar on standard error; call what this gives with the number of things just done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def command() -> str:
    """The command line that is running."""
    return shlex.join(["demur", *sys.argv[1:]])


def origin(seed: int) -> dict[str, JsonValue]:
    """Where labels and probes come from, for their cards."""
    return {
        "command": command(),
        "commit": commit(),
        "made": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "labels": "the first wrong step of each of the model's own completions; nothing after it is judged",
    }
