"""The command `demur`. Commands import what they need when they run, so that `demur --help` is quick."""

from importlib.metadata import version
from typing import Annotated

import typer

from app.commands import corpus, findings, keys, probe, problems
from app.commands.calibrate import calibrate
from app.commands.command_line import CommandLine
from app.commands.compare import EXAMPLES, compare
from app.commands.convert import convert
from app.commands.evaluate import evaluate
from app.commands.generate import generate
from app.commands.pretrain import pretrain
from app.commands.serve import serve

app = CommandLine("demur", "A sampling service for language models that know when they are unsure.")
app.command()(serve)
app.command()(generate)
app.command()(evaluate)
app.command(epilog=EXAMPLES)(compare)
app.command()(pretrain)
app.command()(calibrate)
app.command()(convert)
app.add_typer(corpus.app)
app.add_typer(problems.app)
app.add_typer(probe.app)
app.add_typer(findings.app)
app.add_typer(keys.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"demur {version('demur')}")
        raise typer.Exit


@app.callback()
def demur(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """A sampling service for language models that know when they are unsure."""


def main() -> None:
    """Entry point of the console command."""
    app()


if __name__ == "__main__":
    main()
