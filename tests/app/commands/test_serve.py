"""`demur serve`: its flags, and what it says when it cannot serve."""

import inspect
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.serve import serve
from app.settings import Settings
from tests.environment import ONE_THREAD


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner(env=environment).invoke(app, ["serve", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_flags_mirror_the_settings() -> None:
    assert list(inspect.signature(serve).parameters) == list(Settings.model_fields)


def test_the_defaults_that_help_tells_are_the_settings_own() -> None:
    help_text = run("--help", COLUMNS="400", TERM="dumb")[1]
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in help_text
        if isinstance(field.default, int | str) and not isinstance(field.default, bool):
            assert f"[default: {field.default}]" in help_text


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    code, output = run("--checkpoint", str(tmp_path))
    assert code == 2
    assert f"{tmp_path} is not a checkpoint: it has no config.json" in output
    assert "DEMUR_CHECKPOINT" in output
    assert "Traceback" not in output


def test_a_taken_port(checkpoint_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = run("--checkpoint", str(checkpoint_folder), "--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in output
    assert "--port" in output


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_a_host_that_is_not_ours(checkpoint_folder: Path, host: str) -> None:
    code, output = run("--checkpoint", str(checkpoint_folder), "--host", host)
    assert code == 1
    assert f"cannot listen on {host}:8000" in output


def test_a_flag_takes_no_value() -> None:
    code, output = run("--no-probes=true")
    assert code == 2
    assert "does not take a value" in output


def test_a_bad_flag_and_a_bad_variable() -> None:
    assert run("--max-rows", "0")[1].startswith("Error: --max-rows is 0")
    code, output = run(DEMUR_PORT="abc")
    assert code == 2
    assert output.startswith("Error: DEMUR_PORT is 'abc'")


def test_uvicorn_starts_the_factory_too(checkpoint_folder: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0"]
    environment = {"DEMUR_CHECKPOINT": str(checkpoint_folder), "PATH": ""}
    process = subprocess.Popen(command, env=environment | ONE_THREAD, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    log = ""
    for line in process.stderr:
        log += line
        if "Uvicorn running" in line:
            process.terminate()
    assert process.wait(100) in (0, -15), log
    process.stderr.close()
    assert "Application startup complete" in log
