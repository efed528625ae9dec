"""`demur compare`, on random weights and on the committed checkpoint."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.compare import complete_kind
from app.commands.compare_spec import arm_of_flag, arms_of_flags, ops_of_flag, read_items
from app.compare.folder import read_outcomes, read_spec
from app.compare.results import ComparisonReport
from app.decoding.strategies import STRATEGIES
from app.errors import ParameterError
from tests.app.api.checkpoints import CORPUS, write_random_checkpoint

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "retries.yaml"
SMALL = ("--ops", "2-3", "--count", "4", "--max-tokens", "8", "--latency-problems", "1")


@pytest.fixture(scope="session")
def corpus_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "small"
    write_random_checkpoint(folder, CORPUS)
    return folder


@pytest.fixture
def run(corpus_checkpoint: Path, tmp_path: Path) -> Any:
    def invoke(*arguments: str) -> Any:
        options = ["--checkpoint", str(corpus_checkpoint), "--out", str(tmp_path / "run")]
        return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["compare", *options, *arguments])

    return invoke


def report_of(folder: Path) -> ComparisonReport:
    return ComparisonReport.model_validate_json((folder / "report.json").read_text())


def test_flags_give_a_run_with_tables_and_reports(run: Any, tmp_path: Path) -> None:
    result = run("-s", "greedy", "-s", 'warm=sample:{"temperature": 0.7}', *SMALL)
    assert result.exit_code == 0, result.output
    for word in ("greedy", "warm", "4 problems", "95% interval", "report.html"):
        assert word in result.stdout
    assert "0 of 8 answers are there" in result.stderr
    folder = tmp_path / "run"
    spec = read_spec(folder)
    assert [(arm.name, arm.sampling.temperature) for arm in spec.arms] == [("greedy", 1.0), ("warm", 0.7)]
    report = report_of(folder)
    assert (report.problems, report.common, report.finished) == (4, 4, True)
    assert report.arm("greedy").latency.alone is not None
    page = (folder / "report.html").read_text()
    assert "warm" in page
    assert "<script src" not in page


def test_the_same_command_goes_on_where_it_was_and_says_so(run: Any, tmp_path: Path) -> None:
    command = ("-s", "greedy", "-s", "sample", *SMALL)
    first = run(*command, "--json")
    path = tmp_path / "run" / "outcomes.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:30])
    again = run(*command, "--json")
    assert "Going on with" in again.stderr
    assert "5 of 8 answers are there" in again.stderr
    assert without_times(json.loads(again.stdout)) == without_times(json.loads(first.stdout))
    resumed = run("--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "8 of 8 answers are there" in resumed.stderr
    larger = run("--resume", "--count", "9")
    assert larger.exit_code == 2
    assert "is of another run: problems.count is 4" in larger.stderr
    other = run("-s", "greedy", *SMALL)
    assert other.exit_code == 2
    assert "is of another run: arms[1]" in other.stderr


def test_lines_of_a_problem_file_end_where_jsons_do(tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    items = [{"prompt": "one\u2028two\x85three", "answer": "1"}, {"prompt": "four"}]
    file.write_text("\r\n".join(json.dumps(item, ensure_ascii=False) for item in items), encoding="utf-8")
    assert read_items(file) == items


def test_a_misspelt_answer_is_told_and_fields_that_are_none_are_no_failure(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    lines = [{"prompt": "1 + 1 =", "anwser": 2, "fields": None}, {"prompt": "b", "answer": "2", "answers": 2}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run("-s", "greedy", "--problems", str(file), "--max-tokens", "1", "--latency-problems", "0")
    assert result.exit_code == 0, result.output
    assert "1 of them, have 'anwser'" in result.stderr.replace("\n", " ")
    assert "'answers'" not in result.stderr
    for fields in ([1], "x"):
        file.write_text(json.dumps({"prompt": "b", "x": 1, "fields": fields}))
        refused = run("-s", "greedy", "--problems", str(file))
        assert refused.exit_code == 2
        assert "items[0].fields" in refused.stderr


def test_a_bound_is_broken_where_the_judge_failed_on_everything(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "1 + 1 ="}\n{"prompt": "1 + 2 ="}\n')
    command = ("-s", "greedy", "-s", "sample", "--problems", str(file), "--judge", "false")
    small = ("--max-tokens", "1", "--latency-problems", "0")
    failed = run(*command, *small, "--fail-under", "greedy=0.5")
    assert failed.exit_code == 1
    assert "greedy has no accuracy" in " ".join(failed.stderr.split())


def test_a_bound_decides_the_exit_status(run: Any) -> None:
    command = ("-s", "greedy", *SMALL)
    assert run(*command, "--fail-under", "greedy=0").exit_code == 0
    failed = run(*command, "--fail-under", "greedy=0.5")
    assert failed.exit_code == 1
    assert "greedy has an accuracy of 0, less than 0.5" in failed.stderr
    assert "report.html" in failed.stdout, "the report is there all the same"


def test_prompts_without_answers_are_shown_beside_each_other(run: Any, tmp_path: Path) -> None:
    result = run("-s", "greedy", "-s", "sample", "--prompt", "Boats are 3.", *SMALL[4:])
    assert result.exit_code == 0, result.output
    assert "Boats are 3." in result.stdout
    outcomes = {outcome.arm: outcome for outcome in read_outcomes(tmp_path / "run")}
    for arm in ("greedy", "sample"):
        assert outcomes[arm].tokens, "with their entropy, unless asked otherwise"
        assert outcomes[arm].text.split()[0] in result.stdout


def test_problems_of_a_file_are_judged_by_the_rule_given(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "Boats are 3.", "answer": 7, "id": "a"}\n\n{"prompt": "Kites."}\n')
    result = run("-s", "greedy", "--problems", str(file), "--answer-regex", r"\w+", *SMALL[4:])
    assert result.exit_code == 0, result.output
    outcomes = {outcome.problem: outcome for outcome in read_outcomes(tmp_path / "run")}
    assert (outcomes["a"].expected, outcomes["a"].correct) == ("7", False)
    assert outcomes["1"].correct is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give a file with arms, or --strategy"),
        (("-s", "gredy"), "there is no strategy 'gredy'; did you mean greedy?"),
        (("-s", "sample:{temperature: 1}"), "is not JSON"),
        (("-s", "a=b=c"), "write KIND, NAME=KIND"),
        (("-s", "greedy", "--ops", "six"), "write one op, such as 4"),
        (("-s", "greedy", "--ops", "6-1"), "smallest <= largest"),
        (("-s", "greedy", "--count", "0"), "problems.count is 0"),
        (("-s", "greedy", "--fail-under", "greedy"), "write ARM=SHARE"),
        (("-s", "greedy", "--fail-under", "warm=0.5"), "the arms are greedy"),
        (("-s", "greedy", "--fail-under", "greedy=5"), "between 0 and 1"),
        (("-s", "greedy", "--prompt", "a", "--fail-under", "greedy=0.5"), "no problem has an answer"),
        (("-s", "greedy", "--problems", "none.jsonl"), "cannot read none.jsonl"),
        (("-s", "greedy", "--answer-exact", "--answer-marker", "x", "--prompt", "a"), "give one"),
        (("-s", "greedy", "--prompt", "a", "--ops", "1-2"), "unknown field 'problems.ops'"),
        (("-s", "retry_upon_regret", *SMALL), "arm 'retry_upon_regret': There is no signal"),
        (("none.yaml",), "cannot read none.yaml"),
        (("--resume",), "is no folder of a comparison"),
    ],
)
def test_a_mistake_is_one_message_and_runs_nothing(
    run: Any, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["- a\n", "arms: [", "3"])
def test_a_file_that_is_no_mapping_is_refused(run: Any, tmp_path: Path, content: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(content)
    result = run(str(file))
    assert result.exit_code == 2
    assert "spec.yaml" in result.stderr


@pytest.mark.parametrize(
    ("given", "arm"),
    [
        ("greedy", {"name": "greedy", "strategy": {"kind": "greedy"}}),
        ("g=greedy", {"name": "g", "strategy": {"kind": "greedy"}}),
        (
            'b=beam:{"width": 2, "min_p": 0.1}',
            {"name": "b", "strategy": {"kind": "beam", "width": 2}, "min_p": 0.1},
        ),
        (
            'retry_upon_regret:{"triggers": [{"signal": "entropy", "threshold": 1}]}',
            {
                "name": "retry_upon_regret",
                "strategy": {
                    "kind": "retry_upon_regret",
                    "triggers": [{"signal": "entropy", "threshold": 1}],
                },
            },
        ),
    ],
)
def test_an_arm_from_a_flag(given: str, arm: dict[str, Any]) -> None:
    assert arm_of_flag(given) == arm


def test_arms_without_names_are_numbered_and_ops_are_a_range() -> None:
    assert [arm["name"] for arm in arms_of_flags(["sample", "greedy", "sample", "x=sample", "sample"])] == [
        "sample",
        "greedy",
        "sample-2",
        "x",
        "sample-4",
    ]
    assert ops_of_flag("4") == [4, 4]
    assert ops_of_flag("1-6") == [1, 6]
    with pytest.raises(ParameterError, match="--ops is '1-'"):
        ops_of_flag("1-")


def test_the_shell_completes_every_kind() -> None:
    assert set(complete_kind("")) == {*STRATEGIES, "oracle_retry"}
    assert complete_kind("x=gre") == ["x=greedy"]


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what depends on when it was computed."""
    return report | {"arms": [arm | {"latency": None} for arm in report["arms"]]}


def process(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from app.cli import main; main()", "compare", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_report_of_an_undisturbed_one(
    corpus_checkpoint: Path, tmp_path: Path
) -> None:
    # Of two tokens: among hundreds some draw would lie on the edge between two of them, where the rounding of
    # another batch decides.
    arms = (
        "greedy",
        'sample:{"top_k": 2}',
        'beam:{"width": 2}',
        'self_consistency:{"samples": 3, "top_k": 2}',
        'oracle_retry:{"top_k": 2}',
    )
    command = [
        *(word for arm in arms for word in ("-s", arm)),
        *("--checkpoint", str(corpus_checkpoint), "--ops", "2-4", "--count", "60", "--latency-problems", "2"),
        *("--max-tokens", "24"),
    ]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = process(*command, "--out", str(whole))
    killed = process(*command, "--out", str(cut))
    file = cut / "outcomes.jsonl"
    deadline = time.monotonic() + 100
    while not file.exists() or file.read_bytes().count(b"\n") < 40:
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    had = read_outcomes(cut)
    assert 40 <= len(had) < 300, "killed in the middle"
    again = process(*command, "--out", str(cut))
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert f"Going on with {cut}: {len(had)} of 300" in said
    _, said = undisturbed.communicate()
    assert undisturbed.returncode == 0, said
    lasting = [
        {each.key: each.model_dump(exclude={"latency_s", "cached_tokens"}) for each in read_outcomes(folder)}
        for folder in (whole, cut)
    ]
    assert lasting[0] == lasting[1]
    assert len(lasting[0]) == 300
    reports = [json.loads((folder / "report.json").read_text()) for folder in (whole, cut)]
    assert without_times(reports[0]) == without_times(reports[1])


@pytest.mark.artifact
@pytest.mark.slow
def test_the_example_of_the_documentation_runs_on_the_committed_checkpoint(tmp_path: Path) -> None:
    small = ["--count", "12", "--ops", "1-4", "--latency-problems", "1", "--out", str(tmp_path / "run")]
    result = CliRunner(env={"COLUMNS": "120"}).invoke(
        app, ["compare", str(EXAMPLE), *small, "--fail-under", "oracle_retry=0.9"]
    )
    assert result.exit_code == 0, result.output
    report = report_of(tmp_path / "run")
    assert [arm.name for arm in report.arms] == ["greedy", "warm", "retry", "random_retry", "oracle_retry"]
    assert report.arm("oracle_retry").told
    for outcome in read_outcomes(tmp_path / "run"):
        assert outcome.solved is (outcome.first_error is None and outcome.correct)
