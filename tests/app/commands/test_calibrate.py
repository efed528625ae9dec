"""`demur calibrate` on a small checkpoint, and serving what it wrote."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from app.commands.strategy_flag import strategy_of_flag
from app.decoding.calibration.calibration import CALIBRATION_FILE, Measurement, read_calibration
from app.decoding.core.signals import SIGNALS
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.engine.types import GenerationRequest
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
    assert isinstance(measured, Measurement)
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


@pytest.fixture
def foreign(folder: Path) -> Path:
    """The same checkpoint, but nothing says what it was trained on."""
    (folder / checkpoint.CARD_FILE).write_text("{}")
    return folder


def calibrate_foreign(folder: Path, *options: str) -> dict[str, Any]:
    command = ["calibrate", "--checkpoint", str(folder), "--json", "--max-tokens", "5", *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_model_without_a_corpus_is_measured_on_texts_of_its_own(foreign: Path) -> None:
    hot = ("-n", "6", "--temperature", "100")  # the random model is sure of what it writes
    measured = calibrate_foreign(foreign, *hot, "--seed", "4")
    stored = read_calibration(foreign, checkpoint.load(foreign).identity)
    assert stored is not None
    assert stored.model_dump(mode="json") == measured
    assert set(stored.signals) == set(SIGNALS)
    asked = measured["measurement"]
    assert (asked["texts"], asked["given"], asked["max_tokens"], asked["seed"]) == (6, 0, 5, 4)
    assert 6 <= measured["tokens"] <= 30
    assert measured["risk"] is None
    assert calibrate_foreign(foreign, *hot, "--seed", "4") == measured
    assert calibrate_foreign(foreign, *hot, "--seed", "5")["signals"] != measured["signals"]
    # Strategies that a request gives no threshold take theirs from it.
    serving = start_engine(Settings(checkpoint=foreign, no_probes=True))
    try:
        for kind in ("entropix", "entropy_stop"):
            strategy = strategy_of_flag(kind)
            serving.engine.check(GenerationRequest((3, 4), strategy, SamplingParams(), StoppingParams(3)))
    finally:
        serving.engine.stop()


def test_completions_that_come_with_prompts_are_read_and_answers_are_counted(
    foreign: Path, tmp_path: Path
) -> None:
    lines: list[dict[str, str]] = [
        {"prompt": "Boats are 3. ", "completion": "Kites are 2.", "answer": "never said"},
        {"prompt": "Kites are 2. ", "id": "other keys are passed over"},
    ]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    measured = calibrate_foreign(foreign, "--prompts", str(prompts), "-n", "4", "--stop", "\\n")
    assert (measured["measurement"]["texts"], measured["measurement"]["given"]) == (4, 2)
    assert measured["measurement"]["stop"] == ["\n"]
    risk = measured["risk"]
    assert (risk["split"], risk["op_min"], risk["max_tokens"], risk["stop"]) == ("given", None, 5, ["\n"])
    assert risk["scores"]["surprisal"]["tuning"]["wrong"][-1] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "holds no prompt"),
        ("{}", "line 1: prompt: Field required"),
        ('{"prompt": "' + "3 " * 200 + '"}', "takes 1 to"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused(
    foreign: Path, tmp_path: Path, line: str, message: str
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(line)
    result = CliRunner().invoke(app, ["calibrate", "--checkpoint", str(foreign), "--prompts", str(prompts)])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
