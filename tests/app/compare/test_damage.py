"""Folders that were deleted, damaged or made by others: one comparison suffers, says why, and no other."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.compare.server.comparisons import Comparisons
from app.compare.server.state import STATUSES
from app.errors import (
    ComparisonFolderError,
    UnknownComparisonError,
)
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import engine_for, make_spec, only
from tests.app.compare.server.test_comparisons import comparing, long_spec, wait


@pytest.fixture(scope="module")
def kept(checkpoint: LoadedCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder with one comparison that is done, whose name is "kept"."""
    root = tmp_path_factory.mktemp("kept")
    with comparing(root, checkpoint) as (comparisons, _):
        id = comparisons.submit(make_spec(name="kept")).id
        assert wait(comparisons, id).status == "done"
    return root


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """A copy with two comparisons, `whole` and `compare-0`."""
    root = tmp_path / "comparisons"
    (folder,) = kept.glob("compare-*")
    for name in ("compare-0", "whole"):
        shutil.copytree(folder, root / name)
    (root / "whole").rename(root / "compare-1")
    return root


def move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def delete_outcomes(folder: Path) -> None:
    (folder / "outcomes.jsonl").unlink()


def replace_outcomes(folder: Path) -> None:
    """As many editors save a file."""
    copy = folder / "outcomes.jsonl~"
    shutil.copy(folder / "outcomes.jsonl", copy)
    copy.replace(folder / "outcomes.jsonl")


@pytest.mark.parametrize("take_away", [shutil.rmtree, move, delete_outcomes, replace_outcomes])
def test_a_comparison_whose_folder_is_taken_away_fails_and_the_next_one_runs(
    take_away: Callable[[Path], None], checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    with comparing(tmp_path / "root", checkpoint) as (comparisons, _):
        id, other = comparisons.submit(long_spec()).id, comparisons.submit(make_spec()).id
        wait(comparisons, id, outcomes=5)
        take_away(tmp_path / "root" / id)
        status = wait(comparisons, id)
        assert status.status == "failed"
        # Of a whole folder either file may be missed first: they are looked at one after the other.
        assert re.match(r".*(outcomes|latency)\.jsonl was deleted, moved or replaced", status.error or "")
        assert wait(comparisons, other).status == "done"
        if not (tmp_path / "root" / id).exists():
            with pytest.raises(ComparisonFolderError, match="is gone"):
                comparisons.look(id, lambda job: job.findings.report(growing=False))
            assert not (tmp_path / "root" / id).exists(), "nobody makes it again"
        comparisons.delete(id)
        assert [each.id for each in comparisons.list()] == [other]


def test_a_comparison_that_waits_in_a_deleted_folder_fails_and_makes_no_new_one(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        first, waiting = comparisons.submit(long_spec()).id, comparisons.submit(make_spec()).id
        shutil.rmtree(tmp_path / waiting)
        comparisons.cancel(first)
        status = wait(comparisons, waiting) if comparisons.find(waiting) else None
        assert status is not None
        assert status.status == "failed"
        assert "spec.json" in (status.error or "")
        assert not (tmp_path / waiting).exists()


def test_a_done_comparison_whose_folder_is_gone_says_so(root: Path, checkpoint: LoadedCheckpoint) -> None:
    with comparing(root, checkpoint) as (comparisons, _):
        shutil.rmtree(root / "compare-0")
        status = comparisons.status("compare-0")
        assert status.status == "damaged"
        assert "is gone" in (status.error or "")
        for read in ("report", "page"):
            with pytest.raises(ComparisonFolderError, match="is gone"):
                comparisons.look(
                    "compare-0", lambda job, read=read: getattr(job.findings, read)(growing=False)
                )
        with pytest.raises(ComparisonFolderError, match="is gone"):
            comparisons.look("compare-0", lambda job: job.findings.lines("outcomes.jsonl", 0, 9))
        assert comparisons.status("compare-1").status == "done"
        comparisons.delete("compare-0")


def test_the_command_fails_too_where_its_folder_is_deleted(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    from app.compare.runner import Comparison

    spec = long_spec()
    with engine_for(checkpoint) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        path = tmp_path / "run"
        with (
            comparison.folder(path) as folder,
            pytest.raises(ComparisonFolderError, match="was deleted, moved or replaced"),
        ):
            comparison.run(folder, lambda _: shutil.rmtree(path, ignore_errors=True))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def writing(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    write.__name__ = f"writing {text[:24]}"
    return write


def changing(field: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    change.__name__ = f"changing {field} to {value!r}"[:40]
    return change


def into_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


TEXTS = ("", "\x00\xff", "[" * 100_000, "null", "[]", "{}", "7", '{"status": "done"}', '"\\ud800"')
ANY = [cut, a_folder, Path.unlink, into_a_loop, *map(writing, TEXTS)]
SPEC = [changing("version", 2), changing("arms", []), changing("seed", "\ud800"), changing("name", 1)]
STATE = [
    changing(field, value)
    for field, value in [
        ("version", 2),
        ("status", "paused"),
        ("status", "damaged"),
        ("status", "\ud800"),
        ("total", -1),
        ("total", "6"),
        ("total", 1.5),
        ("created", None),
        ("created", 1e300),
        ("created", float("nan")),
        ("created", float("inf")),
        ("finished", -1e9),
    ]
]
DAMAGES = [
    *(("spec.json", each) for each in ANY + SPEC),
    *(("state.json", each) for each in ANY + STATE),
    ("outcomes.jsonl", a_folder),
    ("latency.jsonl", into_a_loop),
]


@pytest.mark.parametrize(
    ("name", "damage"), DAMAGES, ids=[f"{name} {each.__name__}" for name, each in DAMAGES]
)
def test_a_damaged_folder_is_listed_with_the_reason_and_the_others_as_they_are(
    name: str, damage: Callable[[Path], None], root: Path
) -> None:
    damage(root / "compare-0" / name)
    comparisons = Comparisons(root)
    try:
        found = {each.id: each for each in comparisons.list()}
        assert {id: each.status for id, each in found.items()} == {
            "compare-0": "damaged",
            "compare-1": "done",
        }
        damaged = found["compare-0"]
        assert name in (damaged.error or "")
        assert str(root) not in (damaged.error or "")
        assert "delete it" in (damaged.error or "")
        json.dumps(damaged.model_dump(mode="json"), ensure_ascii=False, allow_nan=False).encode()
        assert comparisons.status("compare-0") == damaged
        assert damaged.name == (None if name == "spec.json" else "kept")
        assert comparisons.counts() == dict.fromkeys(STATUSES, 0) | {"done": 1, "damaged": 1}
        for act in (comparisons.cancel, comparisons.resume):
            with pytest.raises(ComparisonFolderError, match=name):
                act("compare-0")
        with pytest.raises(ComparisonFolderError, match=name):
            comparisons.look("compare-0", lambda job: job)
        assert comparisons.look("compare-1", lambda job: json.loads(job.findings.report(growing=False)))
        comparisons.delete("compare-0")
        assert [each.id for each in comparisons.list()] == ["compare-1"]
        with pytest.raises(UnknownComparisonError):
            comparisons.delete("compare-0")
        assert sorted(each.name for each in root.iterdir()) == [".lock", "compare-1"]
    finally:
        comparisons.stop()


def test_what_is_no_folder_at_all_is_listed_and_can_be_deleted(root: Path) -> None:
    (root / "compare-file").write_text("mine")
    (root / "compare-link").symlink_to(root / "nowhere")
    (root / "compare-odd\n").mkdir()
    comparisons = Comparisons(root)
    try:
        listed = {each.id: each.status for each in comparisons.list()}
        assert listed == {
            "compare-0": "done",
            "compare-1": "done",
            "compare-file": "damaged",
            "compare-link": "damaged",
        }
        comparisons.delete("compare-file")
        comparisons.delete("compare-link")
        names = [".lock", "compare-0", "compare-1", "compare-odd\n"]
        assert sorted(each.name for each in root.iterdir()) == names
    finally:
        comparisons.stop()


def test_a_damaged_comparison_stays_so_over_a_restart_and_one_that_is_mended_is_back(
    root: Path, checkpoint: LoadedCheckpoint
) -> None:
    state = (root / "compare-0" / "state.json").read_text()
    (root / "compare-0" / "state.json").write_text(state[:9])
    for _ in range(2):
        with comparing(root, checkpoint) as (comparisons, _engine):
            assert comparisons.status("compare-0").status == "damaged"
            assert wait(comparisons, comparisons.submit(make_spec()).id).status == "done"
    (root / "compare-0" / "state.json").write_text(state)
    with comparing(root, checkpoint) as (comparisons, _engine):
        assert comparisons.status("compare-0").status == "done"


@pytest.mark.parametrize("damage", [b"{}", b"[]", b"\xff", b'{"problem": NaN}', b'{"problem"'])
def test_a_line_damaged_in_the_middle_is_named_and_never_sent(damage: bytes, root: Path) -> None:
    path = root / "compare-0" / "outcomes.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    (root / "compare-0" / "report.json").unlink()
    comparisons = Comparisons(root)
    try:
        if damage != b"{}":  # which is JSON
            with pytest.raises(ComparisonFolderError, match=r"outcomes\.jsonl, line 3 is damaged"):
                comparisons.look("compare-0", lambda job: job.findings.lines("outcomes.jsonl", 1, 9))
            assert len(comparisons.look("compare-0", lambda job: job.findings.lines(path.name, 0, 2))) == 2
        with pytest.raises(ComparisonFolderError, match="line 3 is damaged"):
            comparisons.look("compare-0", lambda job: job.findings.report(growing=False))
    finally:
        comparisons.stop()


def test_a_line_that_is_there_twice_or_of_another_arm_is_damage_too(root: Path) -> None:
    path = root / "compare-0" / "outcomes.jsonl"
    line = path.read_bytes().split(b"\n")[0]
    (root / "compare-0" / "report.json").unlink()
    whole = path.read_bytes()
    comparisons = Comparisons(root)
    try:
        for more in (line, line.replace(b'"arm":"greedy"', b'"arm":"nobody"').replace(b"warm", b"nobody")):
            path.write_bytes(whole + more + b"\n")
            with pytest.raises(ComparisonFolderError, match=r"outcomes\.jsonl is damaged"):
                comparisons.look("compare-0", lambda job: job.findings.report(growing=False))
    finally:
        comparisons.stop()
