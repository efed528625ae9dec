"""`demur pretrain` and `demur evaluate`, end to end on a network that learns nothing in so short a time."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from app.cli import app
from models import checkpoint

SMALL = (
    *(
        "--tokens",
        "0.01",
        "--decay",
        "0.005",
        "--layers",
        "2",
        "--width",
        "16",
        "--heads",
        "2",
        "--rows",
        "2",
    ),
    *("--validate-every", "0.01", "--validate-problems", "1", "--no-compile", "--threads", "1"),
    *("--context", "160"),  # a network that has learnt nothing writes until its context is full
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint `small` and its run."""
    folder = tmp_path_factory.mktemp("pretrain")
    result = CliRunner().invoke(
        app, ["pretrain", str(folder / "small"), "--run", str(folder / "run"), *SMALL]
    )
    assert result.exit_code == 0, result.output
    return folder


def test_checkpoint_is_loaded_by_transformers_and_its_card_says_how_it_was_made(trained: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(trained / "small")
    tokenizer = AutoTokenizer.from_pretrained(trained / "small")
    assert model.config.num_hidden_layers == 2
    assert len(tokenizer) == model.config.vocab_size
    card = json.loads((trained / "small" / "card.json").read_text())
    assert card["corpus"]["op_max"] == 5
    assert card["training"]["config"]["d_model"] == 16
    assert 0 < card["training"]["tokens_seen"] <= 10_000


def test_run_goes_on_from_a_checkpoint_and_its_card_keeps_that_card(trained: Path, tmp_path: Path) -> None:
    start = ["--init-from", str(trained / "small")]
    weights = ["--op-weights", "1,1,2,3,3"]
    command = ["pretrain", str(tmp_path / "more"), "--run", str(tmp_path / "run"), *SMALL, *start, *weights]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "more" / "card.json").read_text())
    assert card["training"]["init"] == json.loads((trained / "small" / "card.json").read_text())
    assert card["training"]["config"]["init_weights"] == checkpoint.load(trained / "small").identity.weights
    assert card["training"]["config"]["op_weights"] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--op-weights", "1;2", "--op-weights is '1;2'; give numbers with commas between"),
        ("--init-from", "nowhere", "nowhere"),
        ("--device", "abacus", "--device is 'abacus'; this machine has cpu"),
    ],
)
def test_bad_start_is_refused_before_training(tmp_path: Path, option: str, value: str, named: str) -> None:
    result = CliRunner().invoke(app, ["pretrain", str(tmp_path / "out"), *SMALL, option, value])
    assert result.exit_code == 2
    assert named in " ".join(result.output.split())


def test_log_and_plot_are_beside_the_state(trained: Path) -> None:
    with (trained / "run" / "loss.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 10_000 // (2 * 128)
    assert (trained / "run" / "training.png").read_bytes().startswith(b"\x89PNG")


def test_other_settings_on_the_same_run_are_refused_by_name(trained: Path) -> None:
    result = CliRunner().invoke(
        app, ["pretrain", str(trained / "other"), "--run", str(trained / "run"), *SMALL, "--width", "32"]
    )
    assert result.exit_code == 2
    assert "d_model 16 there, 32 here" in " ".join(result.output.split())
    assert not (trained / "other").exists()


def test_termination_saves_the_state_and_the_same_command_goes_on(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    command = [sys.executable, "-m", "app.cli", "pretrain", str(out), "--run", str(run), *SMALL]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        assert process.stdout is not None
        stopper = threading.Thread(target=_terminate_once_it_trains, args=(process, run / "loss.csv"))
        stopper.start()
        output = process.stdout.read()
        stopper.join()
    assert process.returncode == 130
    assert "the same command goes on" in output
    assert not out.exists()
    assert CliRunner().invoke(app, command[3:]).exit_code == 0
    with (run / "loss.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == [20, 39]


def _terminate_once_it_trains(process: "subprocess.Popen[str]", log: Path) -> None:
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGTERM)


def test_evaluation_counts_and_stores_in_the_card(trained: Path) -> None:
    arguments = ["evaluate", "--checkpoint", str(trained / "small"), "-n", "3", "--op-max", "2", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--write-card"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [op["op"] for op in report["ops"]] == [1, 2]
    for op in report["ops"]:
        assert op["solved"] + sum(op["first_errors"].values()) == op["problems"] == 3
    assert json.loads((trained / "small" / "card.json").read_text())["evaluation"] == report
