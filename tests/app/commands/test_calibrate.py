"""`demur calibrate` on a small checkpoint, and serving what it wrote."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from app.decoding.calibration.calibration import CALIBRATION_FILE, read_calibration
from app.decoding.core.signals import SIGNALS
from app.errors import CalibrationError
from app.main import start_engine
from app.settings import Settings
from models import checkpoint
from models.corpora.registry import card_of, corpus_named
from models.gpt2 import GPT2, GPT2Config

OPTIONS = ("--problems", "3", "--op-max", "2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random checkpoint whose card names the corpus."""
    corpus = corpus_named()
    tokenizer = corpus.make_tokenizer()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.vocab_size, context_length=128, d_model=32, n_layers=2, n_heads=2
    )
    card = {"corpus": card_of(corpus)}
    checkpoint.save(tmp_path / "small", GPT2(config), tokenizer, card)
    return tmp_path / "small"


def calibrate(folder: Path, *options: str) -> str:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(
        app, ["calibrate", "--checkpoint", str(folder), *OPTIONS, *options]
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_measures_every_signal_and_says_of_what(folder: Path) -> None:
    printed = json.loads(calibrate(folder, "--json", "--seed", "4"))
    stored = read_calibration(folder, checkpoint.load(folder).identity)
    assert stored is not None
    assert stored.model_dump(mode="json") == printed
    assert set(stored.signals) == set(SIGNALS)
    assert stored.tokens == stored.adadec.tokens > 3 * 5
    measured = stored.measurement
    assert (measured.split, measured.problems, measured.seed) == ("validation", 3, 4)
    assert (measured.op_min, measured.op_max) == (1, 2)
    assert stored.signals["entropy"].quantile(100) <= torch.tensor(200.0).log()


def test_the_same_seed_measures_the_same_and_the_table_shows_it(folder: Path) -> None:
    first = calibrate(folder, "--json")
    assert calibrate(folder, "--json") == first
    assert calibrate(folder, "--json", "--seed", "1") != first
    shown = calibrate(folder)
    assert "varentropy" in shown
    assert "98%" in shown


def test_an_engine_is_started_with_it_and_not_with_that_of_other_weights(folder: Path) -> None:
    calibrate(folder)
    settings = Settings(checkpoint=folder, no_probes=True)
    serving = start_engine(settings)
    serving.engine.stop()
    config = folder / checkpoint.CONFIG_FILE
    config.write_text(config.read_text() + "\n")
    with pytest.raises(CalibrationError, match="another checkpoint: its config"):
        start_engine(settings)
    calibrate(folder)
    start_engine(settings).engine.stop()
    assert (folder / CALIBRATION_FILE).exists()


def test_mistakes_are_messages(folder: Path) -> None:
    command = ["calibrate", "--checkpoint", str(folder)]
    wrong = CliRunner().invoke(app, [*command, "--op-min", "4", "--op-max", "2"])
    assert wrong.exit_code == 2
    assert "--op-min is 4 and --op-max 2" in wrong.output
    card = folder / checkpoint.CARD_FILE
    card.write_text("{}")
    foreign = CliRunner().invoke(app, command)
    assert foreign.exit_code == 2
    assert "names no igsm corpus" in foreign.output


def test_wrong_answers_are_counted_where_they_are_asked_for(folder: Path) -> None:
    plain = json.loads(calibrate(folder, "--json"))
    assert plain["risk"] is None
    counted = json.loads(calibrate(folder, "--json", "--risk-problems", "6", "--seed", "4"))["risk"]
    assert (counted["split"], counted["op_min"], counted["op_max"], counted["seed"]) == (
        "calibration",
        1,
        2,
        4,
    )
    # No probes are fitted on it, so these two.
    assert set(counted["scores"]) == {"mean_entropy", "surprisal"}
    for counts in counted["scores"].values():
        # Random weights answer nothing right, and tuning answers everything at the highest threshold.
        assert counts["tuning"]["problems"] == counts["tested"]["problems"] == 3
        assert counts["tuning"]["answered"][-1] == counts["tuning"]["wrong"][-1] == 3
    table = calibrate(folder, "--risk-problems", "6")
    assert "lowest level" in table
    assert "100.00%" in table
