"""What all commands have in common: how their flags stand in the help, and where exit statuses are told."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from app.commands.failures import STATUSES


def _without_type(parameters: list[Any]) -> list[Any]:
    """A flag takes no value, so the help has none after its name, where typer writes `<bool>`."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_type(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """A command with sub-commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_type(super().get_params(ctx))


class CommandLine(typer.Typer):
    """A group of commands; the help of each ends with what its exit status means."""

    def __init__(self, name: str, help: str) -> None:
        super().__init__(
            name=name,
            cls=CommandGroup,
            help=help,
            epilog=STATUSES,
            no_args_is_help=True,
            rich_markup_mode="markdown",
            pretty_exceptions_show_locals=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """As `typer.Typer.command`."""
        return super().command(name, cls=Command, **settings)
