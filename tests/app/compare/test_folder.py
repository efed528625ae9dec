"""A comparison on disk: what a kill leaves, what a folder refuses, and who else reads it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from app.compare.about import About, about
from app.compare.folder import RunFolder, read_latency, read_outcomes, read_spec
from app.compare.outcome import LatencySample, Outcome, OutcomeToken
from app.compare.problems import problem_set_of
from app.compare.spec import ComparisonSpec
from app.errors import ComparisonFolderError
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import GREEDY, WARM, engine_for, make_spec, only

Opener = Callable[..., RunFolder]


def an_outcome(problem: str, arm: str = "greedy", **changes: Any) -> Outcome:
    fields: dict[str, Any] = {
        "problem": problem,
        "group": "op 2",
        "arm": arm,
        "seed": 2_000_000,
        "correct": True,
        "answer": "7",
        "expected": "7",
        "solved": False,
        "first_error": 1,
        "finish_reason": "stop",
        "abstained": False,
        "text": 'a "quoted"\nline \u2028 né \U0001f600',
        "prompt_tokens": 20,
        "cached_tokens": 19,
        "completion_tokens": 9,
        "discarded_tokens": 2,
        "forward_rows": 30,
        "events": 1,
        "latency_s": 0.25,
    }
    return Outcome(**fields | changes)


@pytest.fixture
def run_about(checkpoint: LoadedCheckpoint) -> About:
    with engine_for(checkpoint) as engine:
        return about(make_spec(), only(engine, checkpoint))


@pytest.fixture
def opened(checkpoint: LoadedCheckpoint, run_about: About, tmp_path: Path) -> Opener:
    def open_run(spec: ComparisonSpec | None = None, now: About | None = None) -> RunFolder:
        spec = spec or make_spec()
        return RunFolder.create_or_resume(
            tmp_path / "run", spec, now or run_about, problem_set_of(spec, checkpoint).draw()
        )

    return open_run


def test_what_was_appended_is_there_when_it_is_opened_again(opened: Opener) -> None:
    sample = LatencySample(problem="2/0", arm="greedy", latency_s=0.5, first_token_s=0.1)
    tokens = [OutcomeToken(text="né", signals={"entropy": 0.1})]
    kept = [an_outcome("2/0"), an_outcome("2/0", "warm", tokens=tokens, correct=None)]
    with opened() as folder:
        for outcome in kept:
            folder.append(outcome)
        folder.append_latency(sample)
        assert read_outcomes(folder.path) == kept  # others may read while it is written
    with opened() as folder:
        assert (folder.outcomes, folder.latency) == (kept, [sample])
        assert read_spec(folder.path) == make_spec()
        assert read_latency(folder.path) == [sample]


def test_a_last_line_torn_at_any_byte_is_cut_and_the_rest_stays(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sync(_: int) -> None:
        """Hundreds of them would take long."""

    monkeypatch.setattr(os, "fsync", no_sync)
    kept = [an_outcome("2/0"), an_outcome("2/1")]
    with opened() as folder:
        for outcome in [*kept, an_outcome("2/2")]:
            folder.append(outcome)
        path = folder.path / "outcomes.jsonl"
    content = path.read_bytes()
    start = content[:-1].rindex(b"\n") + 1
    for end in range(start, len(content)):
        path.write_bytes(content[:end])
        assert read_outcomes(path.parent) == kept, "a reader does not see the torn line"
        with RunFolder(path.parent) as folder:
            assert folder.outcomes == kept
            folder.append(an_outcome("2/2"))
        assert path.read_bytes() == content


def test_a_line_is_on_disk_before_append_returns(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    write, sync = os.pwrite, os.fsync

    def writing(file: int, content: bytes, offset: int) -> int:
        calls.append("write")
        return write(file, content, offset)

    def syncing(file: int) -> None:
        calls.append("sync")
        sync(file)

    monkeypatch.setattr(os, "pwrite", writing)
    monkeypatch.setattr(os, "fsync", syncing)
    with opened() as folder:
        calls.clear()
        folder.append(an_outcome("2/0"))
        assert calls == ["write", "sync"]


def test_a_full_disk_leaves_no_half_line(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def half(file: int, content: bytes, offset: int) -> int:
        if len(content) < 100:
            raise OSError(28, "No space left on device")
        return write(file, content[: len(content) // 2], offset)

    with opened() as folder:
        folder.append(an_outcome("2/0"))
        before = (folder.path / "outcomes.jsonl").read_bytes()
        monkeypatch.setattr(os, "pwrite", half)
        with pytest.raises(ComparisonFolderError, match="No space left"):
            folder.append(an_outcome("2/1"))
        assert (folder.path / "outcomes.jsonl").read_bytes() == before
        monkeypatch.undo()
        folder.append(an_outcome("2/1"))
        assert read_outcomes(folder.path) == folder.outcomes == [an_outcome("2/0"), an_outcome("2/1")]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (make_spec(seed=1), "seed is 0"),
        (make_spec(count=9), r"problems.count is 6 .* and 9 now"),
        (
            make_spec(GREEDY, dict(WARM) | {"temperature": 0.5}),
            r"arms\[1\].temperature is 0.7 .* and 0.5 now",
        ),
        (make_spec(GREEDY), r"arms\[1\].temperature is 0.7 .* absent now"),
        (make_spec(GREEDY, WARM, dict(GREEDY) | {"name": "g"}), r"arms\[2\]\.\S+ is absent"),
    ],
)
def test_another_spec_is_refused_and_the_field_named(
    opened: Opener, spec: ComparisonSpec, field: str
) -> None:
    opened().close()
    with pytest.raises(ComparisonFolderError, match=field):
        opened(spec)
    opened().close()  # and it is free again


def test_another_checkpoint_calibration_or_probe_is_refused(opened: Opener, run_about: About) -> None:
    with opened(now=run_about.model_copy(update={"probes": {"step_error": "a"}})):
        pass
    weights = run_about.checkpoint.model_copy(update={"weights": "0" * 64})
    for changes, field in (
        ({"checkpoint": weights}, "checkpoint.weights"),
        ({"calibration": "1"}, "calibration is null"),
        ({"probes": {"step_error": "b"}}, "probes.step_error"),
    ):
        now = run_about.model_copy(update={"probes": {"step_error": "a"}} | changes)
        with pytest.raises(ComparisonFolderError, match=field):
            opened(now=now)
    later = {"started": "2030-01-01T00:00:00+00:00", "versions": {}, "probes": {"step_error": "a"}}
    opened(now=run_about.model_copy(update=later)).close()


def test_a_run_is_written_by_one_process_at_a_time(opened: Opener) -> None:
    with opened() as folder, pytest.raises(ComparisonFolderError, match="another process"):
        RunFolder(folder.path)
    opened().close()


def test_a_line_that_another_process_is_writing_is_left_alone(opened: Opener) -> None:
    with opened() as folder:
        for name in ("outcomes.jsonl", "latency.jsonl"):
            (folder.path / name).write_text('{"half of')
        with pytest.raises(ComparisonFolderError, match="another process"):
            RunFolder(folder.path)
        for name in ("outcomes.jsonl", "latency.jsonl"):
            assert (folder.path / name).read_text() == '{"half of'


def test_a_killed_process_leaves_the_folder_free(opened: Opener) -> None:
    with opened() as folder:
        path = folder.path
    program = (
        "import fcntl, os, signal, sys\n"
        f"file = os.open({str(path / 'outcomes.jsonl')!r}, os.O_RDWR)\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ComparisonFolderError, match="another process"):
            RunFolder(path)
        holder.kill()
    RunFolder(path).close()


def test_a_kill_while_the_folder_is_made_leaves_nothing_that_counts(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    for left in ("about.json", "problems.jsonl", "spec.json.partial"):
        (path / left).write_text("{")
    with opened() as folder:
        assert folder.outcomes == []


def test_a_folder_of_something_else_is_left_alone(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "report.html").write_text("mine")
    with pytest.raises(ComparisonFolderError, match=r"holds report\.html"):
        opened()
    assert [file.name for file in path.iterdir()] == ["report.html"]
    (path / "report.html").unlink()
    path.rmdir()
    path.write_text("a file")
    with pytest.raises(ComparisonFolderError, match="cannot use"):
        opened()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("outcomes.jsonl", "{}\n", r"outcomes\.jsonl, line 1 is damaged: problem"),
        ("latency.jsonl", "{\n", r"latency\.jsonl, line 1 is damaged: the line"),
        ("spec.json", "{", r"spec\.json is not JSON"),
        ("spec.json", '{"arms": []}', r"spec\.json is damaged"),
        ("about.json", "{}", r"about\.json is damaged"),
    ],
)
def test_a_damaged_file_is_named(opened: Opener, file: str, content: str, words: str) -> None:
    opened().close()
    with opened() as folder:
        path = folder.path
    (path / file).write_text(content)
    with pytest.raises(ComparisonFolderError, match=words):
        opened()


def test_a_damaged_folder_is_free_again_once_it_is_mended(opened: Opener) -> None:
    with opened() as folder:
        path = folder.path
    for name in ("outcomes.jsonl", "latency.jsonl"):
        (path / name).write_text("{}\n")
        with pytest.raises(ComparisonFolderError, match="damaged"):
            RunFolder(path)
        (path / name).write_text("")
        RunFolder(path).close()


def test_reports_are_replaced_whole(opened: Opener) -> None:
    with opened() as folder:
        for text in ("first", "second"):
            folder.write_report(text, f"<{text}>")
        assert (folder.path / "report.json").read_text() == "second"
        assert (folder.path / "report.html").read_text() == "<second>"
        assert not list(folder.path.glob("*.partial"))


def test_pandas_and_duckdb_read_it_as_it_is(opened: Opener) -> None:
    kept = [
        an_outcome("2/0", solved=True),
        an_outcome("2/0", "warm"),
        an_outcome("2/1", first_error=None, answer=None, correct=False),
    ]
    with opened() as folder:
        for outcome in kept:
            folder.append(outcome)
        path = folder.path
    frame: Any = pd.read_json(path / "outcomes.jsonl", lines=True, dtype={"answer": str, "expected": str})
    assert list(frame["text"]) == [outcome.text for outcome in kept]
    solved = frame.groupby("arm")["solved"].mean()
    assert solved.to_dict() == {"greedy": 0.5, "warm": 0.0}
    outcomes, problems = (str(path / name) for name in ("outcomes.jsonl", "problems.jsonl"))
    rows = duckdb.execute(
        f"select o.arm, p.answer, o.forward_rows, o.solved from read_json_auto('{outcomes}') o "
        f"join read_json_auto('{problems}') p on o.problem = p.id order by o.problem, o.arm"
    ).fetchall()
    assert [row[0] for row in rows] == ["greedy", "warm", "greedy"]
    assert [row[2:] for row in rows] == [(30, True), (30, False), (30, False)]
