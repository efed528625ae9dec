"""A folder of labels is of one checkpoint, one seed and one scale."""

from pathlib import Path

import pytest

from models.checkpoint import Identity
from probes.errors import LabelsError
from probes.fitting.label_source import SOURCE_FILE, LabelSource, claim, read_source

SOURCE = LabelSource.of(Identity(weights="a" * 64, config="b" * 64, tokenizer="c" * 64), seed=0, scale=1.0)


def test_a_folder_remembers_whose_labels_it_holds(tmp_path: Path) -> None:
    assert read_source(tmp_path / "labels") is None
    claim(tmp_path / "labels", SOURCE)
    claim(tmp_path / "labels", SOURCE)
    assert read_source(tmp_path / "labels") == SOURCE


@pytest.mark.parametrize(
    ("name", "value"), [("weights", "d" * 64), ("tokenizer", "e" * 64), ("seed", 1), ("scale", 0.5)]
)
def test_labels_of_another_source_are_refused(tmp_path: Path, name: str, value: object) -> None:
    claim(tmp_path, SOURCE)
    with pytest.raises(LabelsError, match=f"their {name} is .* asked for is {value}; delete the folder"):
        claim(tmp_path, SOURCE.model_copy(update={name: value}))
    assert read_source(tmp_path) == SOURCE


def test_labels_of_unknown_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fit.jsonl").write_text("{}\n")
    with pytest.raises(LabelsError, match=r"no source\.json says which checkpoint"):
        claim(tmp_path, SOURCE)


@pytest.mark.parametrize("content", ["", "{}", '{"weights": 3}', "\x00"])
def test_a_damaged_note_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / SOURCE_FILE).write_text(content)
    with pytest.raises(LabelsError, match="is damaged"):
        read_source(tmp_path)
