"""Stages, what is kept of them, and runs that are stopped or killed in the middle of one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.compare.results import Estimate
from app.findings import running
from app.findings.criteria import Between, Criterion
from app.findings.finding import Bench, Experiment, Finding, Stage, StageResult, Stopped
from app.findings.networks import digest_of, trained
from app.findings.registry import FINDINGS
from app.findings.running import Results, Watcher, adopt, kept, run, tasks_of, when_begun
from models.errors import ArtifactError
from tests.models.runs import CONFIG


class Killed(BaseException):
    """Stands for a kill: nobody catches it."""


def toy(work: Callable[[str, int, Bench], StageResult]) -> Finding:
    """Two stages of unlike cost."""

    def stages(size: str, seed: int) -> list[Stage]:
        assert size == "full"
        return [
            Stage("first", 1.0, lambda bench: work("first", seed, bench)),
            Stage("second", 3.0, lambda bench: work("second", seed, bench)),
        ]

    def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
        return {name: Estimate(value=result["number"]) for name, result in results.items()}

    return Finding(
        name="toy",
        title="A toy",
        claim="Numbers are numbers.",
        source="ourselves",
        design="Two stages.",
        criteria=(Criterion("first", "the first", Between(0, 1)),),
        experiment=Experiment(stages, measured, lambda _results: "<svg/>"),
    )


def train(name: str, seed: int, bench: Bench) -> StageResult:
    """A real run of the trainer in the stage's folder."""
    return {"number": seed, "weights": digest_of(trained(CONFIG, bench.folder / name, bench))}


def without_seconds(results: Results) -> dict[int, dict[str, dict[str, object]]]:
    return {
        seed: {
            name: {key: value for key, value in result.items() if key != "processor_seconds"}
            for name, result in stages.items()
        }
        for seed, stages in results.items()
    }


def test_a_run_that_was_stopped_and_killed_in_a_part_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = run(toy(train), "full", [5], tmp_path / "whole")

    asked: list[None] = []

    def stop_soon() -> bool:
        asked.append(None)
        return len(asked) == 2

    with pytest.raises(Stopped, match="stopped after step 40"):
        run(toy(train), "full", [5], tmp_path / "cut", should_stop=stop_soon)
    assert kept(toy(train), "full", [5], tmp_path / "cut") == {5: {}}

    def kill(share: float) -> None:
        if share > 0.5:  # the second stage has begun to train
            raise Killed

    with pytest.raises(Killed):
        run(toy(train), "full", [5], tmp_path / "cut", Watcher(done=kill))
    assert list(kept(toy(train), "full", [5], tmp_path / "cut")[5]) == ["first"]

    resumed = run(toy(train), "full", [5], tmp_path / "cut")
    assert without_seconds(resumed) == without_seconds(undisturbed)
    assert undisturbed[5]["first"]["weights"] != ""


def test_a_part_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    worked: list[tuple[str, int]] = []

    def work(name: str, seed: int, _bench: Bench) -> StageResult:
        worked.append((name, seed))
        return {"number": seed}

    first = run(toy(work), "full", [0, 1], tmp_path)
    assert worked == [("first", 0), ("first", 1), ("second", 0), ("second", 1)]  # seeds get equally far
    begun = when_begun(toy(work), "full", tmp_path)
    assert run(toy(work), "full", [0, 1], tmp_path) == first
    assert len(worked) == 4
    assert when_begun(toy(work), "full", tmp_path) == begun


def test_parts_that_were_published_elsewhere_are_taken_over(tmp_path: Path) -> None:
    finding = toy(lambda _name, seed, _bench: {"number": seed})
    there = run(finding, "full", [0, 1], tmp_path / "there")
    published = {0: dict(there[0]), 1: {"first": there[1]["first"]}}
    adopt(finding, "full", tmp_path / "here", "2001-01-01", published)
    assert kept(finding, "full", [0, 1], tmp_path / "here") == published
    assert when_begun(finding, "full", tmp_path / "here") == "2001-01-01"


def test_a_run_has_begun_when_its_first_part_anywhere_has(tmp_path: Path) -> None:
    finding = toy(lambda _name, seed, _bench: {"number": seed})
    there = run(finding, "full", [0], tmp_path)
    begun = when_begun(finding, "full", tmp_path)
    adopt(finding, "full", tmp_path, "2999-01-01T00:00:00+00:00", there)
    assert when_begun(finding, "full", tmp_path) == begun
    adopt(finding, "full", tmp_path, "2001-01-01T00:00:00+00:00", there)
    assert when_begun(finding, "full", tmp_path) == "2001-01-01T00:00:00+00:00"


def test_what_a_part_took_before_it_was_stopped_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[None] = []

    def work(_name: str, seed: int, _bench: Bench) -> StageResult:
        attempts.append(None)
        if len(attempts) < 3:
            raise Stopped
        return {"number": seed}

    times = iter(range(0, 1000, 100))
    monkeypatch.setattr(running, "process_time", lambda: next(times))
    for _ in range(2):
        with pytest.raises(Stopped):
            run(toy(work), "full", [0], tmp_path)
    seconds = [each["processor_seconds"] for each in run(toy(work), "full", [0], tmp_path)[0].values()]
    assert seconds == [300, 100]


def test_progress_counts_parts_by_what_they_cost_and_ends_at_all(tmp_path: Path) -> None:
    def work(_name: str, _seed: int, bench: Bench) -> StageResult:
        bench.told(0.5)
        return {"number": 0}

    shares: list[float] = []
    run(toy(work), "full", [0], tmp_path, Watcher(done=shares.append))
    assert shares == pytest.approx([0.125, 0.25, 0.625, 1.0])


def test_what_cannot_be_run_yet_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nobody has written how to run it"):
        tasks_of(replace(FINDINGS["retry_data"], experiment=None), "full", [0], tmp_path)
