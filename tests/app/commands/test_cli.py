"""The command itself."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from app.cli import app


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"demur {version('demur')}\n"


def test_help_lists_the_commands() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    for command in ("serve", "generate"):
        assert command in output


@pytest.mark.parametrize("command", [[], ["serve"], ["generate"]], ids=["demur", "serve", "generate"])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys\n"
        "from app.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'transformers', 'fastapi', 'matplotlib'} & set(sys.modules)\n"
        "    sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(app, ["solve"])
    assert result.exit_code == 2
    assert "solve" in result.output
