"""`demur compare` with arms on several models."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.compare_spec import arm_of_flag
from app.compare.folder import read_about, read_outcomes
from app.compare.spec import parse_spec
from tests.app.api.checkpoints import CORPUS, write_random_checkpoint
from tests.app.compare.running import lasting
from tests.models.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")

ARMS = ("-s", "greedy", "-s", 'other=greedy:{"model": "other", "stop": ["\\n"]}')


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of the corpus, and a tiny Llama."""
    ours, other = (tmp_path_factory.mktemp("models") / name for name in ("ours", "other"))
    write_random_checkpoint(ours, CORPUS)
    other.mkdir()
    FAMILIES["llama"].write(other)
    return ours, other


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    file = tmp_path / "mine.jsonl"
    lines = [{"prompt": f"{number} + 1 =", "answer": number + 1} for number in range(4)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def flags(folders: tuple[Path, Path], problems: Path, out: Path) -> list[str]:
    ours, other = folders
    models = ["--model", f"ours={ours}", "--model", f"other={other}"]
    small = ["--max-tokens", "6", "--latency-problems", "1"]
    return ["compare", *models, "--problems", str(problems), *small, "--out", str(out)]


def demur(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments)


def test_arms_run_on_the_models_that_they_name(
    folders: tuple[Path, Path], problems: Path, tmp_path: Path
) -> None:
    result = demur(*flags(folders, problems, tmp_path / "run"), *ARMS)
    assert result.exit_code == 0, result.output
    assert "Arms run on different models (the default and other)" in " ".join(result.stdout.split())
    outcomes = read_outcomes(tmp_path / "run")
    assert len(outcomes) == 8
    about = read_about(tmp_path / "run")
    assert about.model == "ours"
    assert set(about.models) == {"other"}
    alone = demur(
        *["compare", "--checkpoint", str(folders[1]), "-s", 'other=greedy:{"stop": ["\\n"]}'],
        *flags(folders, problems, tmp_path / "alone")[5:],
    )
    assert alone.exit_code == 0, alone.output
    theirs = lasting([outcome for outcome in outcomes if outcome.arm == "other"])
    assert lasting(read_outcomes(tmp_path / "alone")) == theirs


def test_a_run_goes_on_with_its_models_and_with_no_others(
    folders: tuple[Path, Path], problems: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = flags(folders, problems, out)
    assert demur(*command, *ARMS).exit_code == 0
    whole = read_outcomes(out)
    file = out / "outcomes.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    again = demur(*command, "--resume")
    assert again.exit_code == 0, again.output
    assert "3 of 8 answers are there" in again.stderr
    assert lasting(read_outcomes(out)) == lasting(whole)
    swapped = demur(*flags((folders[0], folders[0]), problems, out), "--resume")
    assert swapped.exit_code == 2
    assert "models.other.checkpoint." in swapped.stderr
    missing = demur("compare", "--checkpoint", str(folders[0]), "--out", str(out), "--resume")
    assert missing.exit_code == 2
    assert "arms[1].model is 'other', which is not served here; use 'ours'" in " ".join(
        missing.stderr.split()
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-s", 'a=greedy:{"model": "none"}'], "arms[0].model is 'none', which is not served here"),
        (["-s", "greedy", "--model", "ours=elsewhere"], "'ours' is given twice"),
        (["-s", "greedy", "--model", "no-folder"], "is not NAME=FOLDER"),
        (["-s", 'a=greedy:{"model": "third"}', "--model", "third=nowhere"], "nowhere"),
        (["-s", "greedy", "--url", "http://127.0.0.1:9"], "--model"),
    ],
)
def test_models_that_cannot_be_used_are_wrong_use(
    folders: tuple[Path, Path], problems: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = demur(*flags(folders, problems, tmp_path / "run"), *arguments)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_model_that_no_arm_names_is_told(
    folders: tuple[Path, Path], problems: Path, tmp_path: Path
) -> None:
    result = demur(*flags(folders, problems, tmp_path / "run"), "-s", "greedy")
    assert result.exit_code == 0, result.output
    assert "Warning: no arm names the model 'other'" in " ".join(result.stderr.split())


def test_fields_of_an_arm_stand_in_its_flag() -> None:
    given = 'b=sample:{"model": "b", "template": {"form": "chat"}, "max_tokens": 4, "temperature": 0.5}'
    problems = {"source": "given", "items": [{"prompt": "a"}]}
    arm = parse_spec({"arms": [arm_of_flag(given)], "problems": problems}).arms[0]
    assert (arm.model, arm.max_tokens, arm.sampling.temperature) == ("b", 4, 0.5)
    assert arm.template is not None
    assert arm.template.form == "chat"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_is_killed_goes_on(folders: tuple[Path, Path], problems: Path, tmp_path: Path) -> None:
    lines = [{"prompt": f"{number} + 1 =", "answer": number + 1} for number in range(400)]
    problems.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "run"
    command = [*flags(folders, problems, out), *ARMS]
    program = [sys.executable, "-c", "from app.cli import main; main()"]
    with subprocess.Popen([*program, *command], stderr=subprocess.DEVNULL) as process:
        while not (out / "outcomes.jsonl").exists() or len(read_outcomes(out)) < 20:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    kept = lasting(read_outcomes(out))
    assert len(kept) < 800
    assert demur(*command).exit_code == 0
    whole = lasting(read_outcomes(out))
    assert len(whole) == 800
    assert {key: whole[key] for key in kept} == kept
