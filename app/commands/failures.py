"""How a command says what went wrong: one message, no traceback, exit status 1."""

from collections.abc import Generator
from contextlib import contextmanager

import typer


def fail(message: object) -> typer.Exit:
    """Print a message to standard error; raise what this returns."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    return typer.Exit(1)


@contextmanager
def failing_on(*errors: type[Exception]) -> Generator[None]:
    """Turn the errors that a user can put right into a message."""
    try:
        yield
    except errors as error:
        raise fail(error) from error
