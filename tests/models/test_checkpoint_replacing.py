"""Saving a checkpoint where something lies already."""

import itertools
import json
import shutil
import sys
from pathlib import Path

import pytest

from models.checkpoint import Identity, load, save
from models.errors import ArtifactError
from models.tokenizer import Tokenizer
from tests.models.killed import lines_of, run_until
from tests.models.tiny import tiny_network


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A checkpoint to replace."""
    save(tmp_path / "tiny", tiny_network(), tokenizer, {"old": True})
    return tmp_path / "tiny"


def test_new_checkpoint_replaces_the_old_one_but_not_what_lies_beside(
    folder: Path, tokenizer: Tokenizer
) -> None:
    (folder / "README.md").write_text("mine")
    save(folder, tiny_network("learned", seed=3), tokenizer, {"new": True})
    assert load(folder).card == {"new": True}
    assert json.loads((folder / "config.json").read_text())["model_type"] == "gpt2"
    assert (folder / "README.md").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_place_that_cannot_be_a_checkpoint_is_refused_and_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "work" / "inner").mkdir(parents=True)
    for name, named in (("file", "is a file"), ("work", "holds the folder inner")):
        with pytest.raises(ArtifactError, match=rf"{name} {named}"):
            save(tmp_path / name, tiny_network(), tokenizer, {})
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "work" / "inner").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names in one step")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a killed `with` leaves files
def test_kill_at_any_moment_of_a_save_leaves_the_old_checkpoint_or_the_new(
    folder: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    original = shutil.copytree(folder, tmp_path / "original")
    network = tiny_network("learned", seed=3)
    old = load(folder).identity

    def save_new() -> None:
        save(folder, network, tokenizer, {"new": True})

    lines = lines_of(save_new)
    new = load(folder).identity
    seen: list[tuple[Identity, bool]] = []
    # The folder is put in place at the end; of the making of the new files, a few moments will do.
    for line in (*range(0, lines - 40, 50), *range(lines - 40, lines + 1)):
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
        run_until(line, save_new)
        loaded = load(folder)
        seen.append((loaded.identity, loaded.card == {"new": True}))
    assert [state for state, _ in itertools.groupby(seen)] == [(old, False), (new, True)]
