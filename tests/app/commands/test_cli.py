"""The command itself."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
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


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group there is, by the words that call it."""
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


COMMANDS = tuple(commands(get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_gives_no_flag_a_value(words: tuple[str, ...]) -> None:
    for plain in ({}, {"TYPER_USE_RICH": "0"}):
        result = CliRunner(env={"COLUMNS": "200", **plain}).invoke(app, [*words, "--help"])
        assert result.exit_code == 0
        assert "bool" not in result.output


@pytest.mark.parametrize("words", [each for each in COMMANDS if each], ids=" ".join)
def test_an_unknown_option_is_wrong_use(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, [*words, "--no-such-option"]).exit_code == 2


def test_help_tells_the_exit_statuses() -> None:
    output = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"]).output
    for words in ("0 it is done", "1 it ran and failed", "2 wrong use", "130 it was interrupted"):
        assert words in output


MISSING = [
    ("generate", "How many boats?", "--checkpoint"),
    ("generate", "How many boats?", "--probes"),
    ("evaluate", "--checkpoint"),
    ("calibrate", "--checkpoint"),
    ("serve", "--port", "0", "--checkpoint"),
    ("compare", "-s", "greedy", "--checkpoint"),
    ("compare",),
    ("compare", "-s", "greedy", "--problems"),
    ("compare", "--resume", "--out"),
    ("pretrain", "out", "--init-from"),
    ("corpus", "check", "How many boats?", "--solution-file"),
    ("corpus", "check", "--json-lines"),
    ("probe", "label", "--checkpoint"),
    ("probe", "fit", "--checkpoint"),
    ("probe", "fit", "--labels"),
    ("probe", "label", "--judge", "cat", "--prompts"),
    ("probe", "install", "--run"),
]


@pytest.mark.parametrize("words", MISSING, ids=" ".join)
def test_a_file_that_is_not_there_is_wrong_use(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words, "no-such-place"])
    assert result.exit_code == 2, result.output
    assert "no-such-place" in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not list(tmp_path.iterdir()), "nothing was done"


def test_an_interrupted_command_says_so_by_its_status() -> None:
    words = ("corpus", "problems", "-n", "1000000")
    # A shell that starts the tests in the background has them ignore SIGINT, and so would the command.
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeded}; from app.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in said


def test_a_reader_that_has_seen_enough_gets_no_complaint() -> None:
    program = f"{sys.executable} -c 'from app.cli import main; main()' corpus problems -n 3000 | head -n 1"
    ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(app, ["solve"])
    assert result.exit_code == 2
    assert "solve" in result.output
