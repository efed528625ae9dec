"""What the commands of `demur probe` share: their options, where a run lives, and how progress is shown."""

import shlex
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import JsonValue

from app.commands.checkout import commit
from app.commands.options import require_device

if TYPE_CHECKING:
    from models.checkpoint import LoadedCheckpoint
    from models.language_model import ModelSpec
    from probes.fitting.state_store import StateStore
    from probes.position import Position

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
PRECISION: Literal["float32"] = "float32"
"""Of every model that probes are fitted on: cards speak of it."""
WorkersOption = Annotated[int, typer.Option(min=1, help="Threads.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same labels.")]


def load(checkpoint: Path | None, device: str | None = None) -> "LoadedCheckpoint":
    """The checkpoint of an option, on a device of this machine."""
    from app.settings import EMBEDDED_CHECKPOINT
    from models import checkpoint as checkpoints
    from models.files import is_gguf

    folder = checkpoint if checkpoint is not None else EMBEDDED_CHECKPOINT
    precision = "auto" if is_gguf(folder) else PRECISION
    return checkpoints.load(folder, require_device(device or "cpu"), precision)


def run_folder(run: Path | None, model: str) -> Path:
    """Where a run lives, by default by the name of its model."""
    return run if run is not None else Path("runs") / "probes" / model


@contextmanager
def progress(what: str, total: int) -> Generator[Callable[[int], None]]:
    """A progress bar on standard error; call what this gives with the number of things just done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def chosen_layers(spec: "ModelSpec", asked: list[int] | None) -> tuple[int, ...] | None:
    """The layers of an option, layer 0 among them, which controls are read at; None where none is asked for.

    Raises:
        SpecError: the model has no such layer.
    """
    from models.language_model import check_layers

    if not asked:
        return None
    check_layers(spec, asked)
    return tuple(sorted({0, *asked}))


def chosen_positions(there: "Mapping[str, Position]", asked: list[str] | None) -> "dict[str, Position]":
    """The positions of an option, all where none is asked for.

    Raises:
        SpecError: there is no such position.
    """
    from models.errors import SpecError

    for name in asked or ():
        if name not in there:
            raise SpecError(f"--position is {name!r}; there are {', '.join(there)}")
    return {name: position for name, position in there.items() if not asked or name in asked}


def store_for(loaded: "LoadedCheckpoint", folder: Path) -> "StateStore | None":
    """Where hidden states of a run go: of our own small networks into memory, which is faster to fill."""
    from models.decoder import Decoder
    from models.native.native_decoder import NativeDecoder
    from probes.fitting.state_store import StateStore

    if isinstance(loaded.model, Decoder | NativeDecoder):
        return None
    identity = loaded.identity
    return StateStore(folder / "states", f"weights {identity.weights} config {identity.config} {PRECISION}")


def unescaped(text: str) -> str:
    """A text of the command line, in which `\\n` and `\\t` stand for a line break and a tab."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


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
