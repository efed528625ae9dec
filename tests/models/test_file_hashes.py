"""Hashes of large files that are kept."""

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from models import file_hashes
from models.errors import ArtifactError
from models.file_hashes import known_hash


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every file is large, and has settled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(file_hashes, "LARGE", 1)
    monkeypatch.setattr(file_hashes, "_SETTLED", -(10**12))
    return tmp_path / "caches"


def kept(caches: Path) -> list[Path]:
    return list(caches.glob("demur/hashes/*"))


def test_it_is_that_of_the_content_and_kept(tmp_path: Path, caches: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
    wanted = sha256(b"ab").hexdigest()
    assert known_hash(files) == wanted
    (place,) = kept(caches)
    place.write_text("0" * 64)
    assert known_hash(files) == "0" * 64, "it is not computed again"
    assert known_hash(files[:1]) == sha256(b"a").hexdigest()


def test_a_change_that_hides_its_time_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_text("old")
    before = file.stat()
    assert known_hash([file]) == sha256(b"old").hexdigest()
    time.sleep(0.02)  # longer than a tick of the file system's clock
    file.write_text("new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known_hash([file]) == sha256(b"new").hexdigest()


def test_one_that_has_just_been_written_is_not_kept(
    tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hashes, "_SETTLED", 10**15)
    file = tmp_path / "weights"
    file.write_text("text")
    assert known_hash([file]) == sha256(b"text").hexdigest()
    assert not kept(caches)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64])
def test_a_damaged_note_is_computed_again(tmp_path: Path, caches: Path, content: bytes) -> None:
    file = tmp_path / "weights"
    file.write_text("text")
    known_hash([file])
    (place,) = kept(caches)
    place.write_bytes(content)
    assert known_hash([file]) == sha256(b"text").hexdigest()


def test_where_nothing_can_be_kept_it_is_computed(tmp_path: Path, caches: Path) -> None:
    caches.write_text("a file where the folder would be")
    file = tmp_path / "weights"
    file.write_text("text")
    assert known_hash([file]) == sha256(b"text").hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*weights"):
        known_hash([tmp_path / "weights"])
