"""How a command ends: with one message, no traceback, and an exit status that says whose fault it was."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

FAILED = 1
"""It ran and failed, or what it was to judge is not right."""
WRONG_USE = 2
"""An option, an argument, or a file or folder that one of them names cannot be used; so nothing was done."""

STATUSES = (
    "**Exit status**\n\n"
    "- `0` it is done\n"
    "- `1` it ran and failed, or what it was to judge is not right\n"
    "- `2` wrong use: an option, or a file or folder that it names, cannot be used; nothing was done\n"
    "- `130` it was interrupted, as by Ctrl-C"
)


def fail(message: object, status: int = FAILED) -> typer.Exit:
    """Print a message to standard error; raise what this returns."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    return typer.Exit(status)


@contextmanager
def failing_on(*errors: type[Exception], status: int | None = None) -> Generator[None]:
    """Turn the errors that a user can put right into a message.

    status: of the exit; None tells it from the error.
    """
    try:
        yield
    except errors as error:
        raise fail(error, status_of(error) if status is None else status) from error


def status_of(error: Exception) -> int:
    """Whether what was asked for is at fault, or what came of it."""
    from app.errors import CalibrationError, ComparisonFolderError, RequestError
    from app.settings import SettingsError
    from models.errors import ArtifactError, SpecError
    from probes.errors import ProbeFileError, ProbeMismatchError

    asked = (RequestError, SettingsError, SpecError)
    named = (ArtifactError, CalibrationError, ComparisonFolderError, ProbeFileError, ProbeMismatchError)
    return WRONG_USE if isinstance(error, (*asked, *named)) else FAILED
