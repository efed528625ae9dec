"""`demur findings`: list, report and run; every experiment runs at its small size and then says nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.commands.findings import app
from app.findings.published import Raw
from app.findings.registry import FINDINGS
from app.findings.running import kept

CAN_RUN = [name for name, finding in FINDINGS.items() if finding.experiment]
VERDICTS = ("supported", "refuted", "undecided")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_the_list_has_every_finding_and_what_came_of_it(tmp_path: Path) -> None:
    listed = run("list", "--out", str(tmp_path))
    assert listed.exit_code == 0
    for name in FINDINGS:
        assert name in listed.output
    assert listed.output.count("undecided") == len(FINDINGS)  # nothing is published there
    assert listed.output.count("cannot be run yet") == len(FINDINGS) - len(CAN_RUN)


def test_the_report_shows_every_threshold_and_writes_only_where_it_is_told(tmp_path: Path) -> None:
    said = run("report", "--out", str(tmp_path))
    assert said.exit_code == 0
    for finding in FINDINGS.values():
        assert f"## {finding.title}" in said.output
        assert all(criterion.meaning in said.output for criterion in finding.criteria)
    assert not list(tmp_path.iterdir())
    written = run("report", "--write", "--out", str(tmp_path / "new"))
    assert written.exit_code == 0
    assert (tmp_path / "new" / "README.md").read_text().strip() == said.output.strip()


def test_what_cannot_be_run_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = replace(FINDINGS["capacity"], experiment=None)
    monkeypatch.setattr("app.findings.registry.FINDINGS", {**FINDINGS, "capacity": declared})
    for name, said in (("astrology", "choose one of capacity"), ("capacity", "nobody has written how")):
        refused = run("run", name, "--state", str(tmp_path / "state"), "--out", str(tmp_path))
        assert refused.exit_code == 2
        assert said in refused.output
    refused = run("run", "planning", "--device", "abacus", "--state", str(tmp_path / "state"))
    assert refused.exit_code == 2
    assert "this machine has cpu" in refused.output
    assert not list(tmp_path.glob("*"))


def test_a_run_without_time_stops_publishes_what_there_is_and_can_be_gone_on_with(tmp_path: Path) -> None:
    where = ("--state", str(tmp_path / "state"), "--out", str(tmp_path / "out"), "--quick")
    stopped = run("run", "capacity", *where, "--minutes", "0", "--seeds", "3")
    assert stopped.exit_code == 130
    assert "the same command goes on" in stopped.output
    raw = Raw.model_validate(json.loads((tmp_path / "out" / "capacity.json").read_text()))
    assert raw.size == "quick"
    assert raw.seeds == {0: {}, 1: {}, 2: {}}
    assert run("run", "capacity", *where, "--minutes", "0", "--seeds", "1").exit_code == 130
    again = Raw.model_validate(json.loads((tmp_path / "out" / "capacity.json").read_text()))
    assert again == raw  # what has been published is not dropped
    refused = run("run", "capacity", *where[:4])
    assert refused.exit_code == 2
    assert "results of a quick run" in refused.output


@pytest.mark.parametrize("option", ["--out", "--state"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folders = {
        "--out": str(tmp_path / "out"),
        "--state": str(tmp_path / "state"),
        option: str(tmp_path / "file"),
    }
    where = [each for pair in folders.items() for each in pair]
    refused = run("run", "capacity", *where, "--quick", "--minutes", "0", "--seeds", "1")
    assert refused.exit_code == 2
    assert "cannot be written to" in refused.output
    if option == "--out":
        assert run("report", "--write", "--out", str(tmp_path / "file")).exit_code == 2


@pytest.mark.slow
@pytest.mark.timeout(1800)  # half a minute of a processor, which a busy machine may not have
@pytest.mark.parametrize("name", CAN_RUN)
def test_every_experiment_runs_at_its_small_size_and_gives_no_verdict(name: str, tmp_path: Path) -> None:
    where = ("--state", str(tmp_path / "state"), "--seeds", "1")
    ran = run("run", name, "--quick", *where)
    assert ran.exit_code == 0, ran.output
    assert not any(verdict in ran.output for verdict in VERDICTS)
    assert "too small to say anything" in ran.output
    finding = FINDINGS[name]
    assert finding.experiment is not None
    results = kept(finding, "quick", [0], tmp_path / "state")
    assert list(results[0]) == [stage.name for stage in finding.experiment.stages("quick", 0)]
    for stage, result in results[0].items():
        assert stage in ran.output
        assert result["processor_seconds"] > 0
    assert finding.experiment.figure(results).startswith("<svg")
    assert not (tmp_path / "docs").exists()
