import itertools
import json
import sys
from pathlib import Path

import pytest

from models import files
from models.errors import ArtifactError
from models.files import read_json, replace_folder, write_atomically, write_json
from tests.models.killed import lines_of, run_until


def folder(path: Path, **content: str) -> Path:
    path.mkdir()
    for name, text in content.items():
        (path / name).write_text(text)
    return path


def content_of(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir()}


def test_json_object_comes_back(tmp_path: Path) -> None:
    value = {"name": "né", "numbers": [1, 2.5, None, True], "nested": {"a": {}}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert json.loads((tmp_path / "a.json").read_bytes()) == value
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is not JSON"),
        (b'{"a": ', "is not JSON"),
        (b"\xff\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "must hold a JSON object, not a list"),
        (b"null", "must hold a JSON object, not a NoneType"),
    ],
)
def test_file_without_a_json_object_is_refused_by_name(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"a\.json {named}"):
        read_json(tmp_path / "a.json")


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*a\.json: No such file or directory"):
        read_json(tmp_path / "a.json")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a killed `with` leaves files
def test_kill_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen: set[bytes] = set()
    for line in range(lines_of(lambda: write_atomically(path, b"new")) + 1):
        path.write_bytes(b"old")
        run_until(line, lambda: write_atomically(path, b"new"))
        seen.add(path.read_bytes())
    assert seen == {b"old", b"new"}
    assert path.read_bytes() == b"new"


def test_folder_takes_a_free_place(tmp_path: Path) -> None:
    replace_folder(folder(tmp_path / "new", a="1"), tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert content_of(tmp_path / "target") == {"a": "1"}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_folder_takes_the_place_of_another(
    tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:  # as on a system without renameat2
        monkeypatch.setattr(files, "_RENAME_EXCHANGE", 1 << 30)
    folder(tmp_path / "target", a="old", b="old")
    replace_folder(folder(tmp_path / "new", a="new"), tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert content_of(tmp_path / "target") == {"a": "new"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names in one step")
def test_kill_leaves_the_old_folder_or_the_new(tmp_path: Path) -> None:
    old, new = {"a": "old", "b": "old"}, {"a": "new", "c": "new"}
    seen: list[dict[str, str]] = []

    def replaced(line: int) -> int:
        place = folder(tmp_path / str(line))
        folder(place / "target", **old)
        folder(place / "new", **new)
        executed = run_until(line, lambda: replace_folder(place / "new", place / "target"))
        seen.append(content_of(place / "target"))
        return executed

    for line in itertools.count():
        if replaced(line) < line:
            break
    assert [state for state, _ in itertools.groupby(seen)] == [old, new]
