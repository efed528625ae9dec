"""The stored calibration: what goes in comes out, and only for its own checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.decoding.calibration.calibration import (
    CALIBRATION_FILE,
    SignalSummary,
    read_calibration,
    write_calibration,
)
from app.errors import CalibrationError, ParameterError
from tests.app.decoding.calibrated import IDENTITY, calibration


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = calibration(entropy_98=0.5, learned=0.8)
    assert write_calibration(tmp_path, written) == tmp_path / CALIBRATION_FILE
    assert read_calibration(tmp_path, IDENTITY) == written
    assert [path.name for path in tmp_path.iterdir()] == [CALIBRATION_FILE]


def test_a_checkpoint_need_not_have_one(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, IDENTITY) is None


@pytest.mark.parametrize("part", ["weights", "config", "tokenizer"])
def test_that_of_another_checkpoint_is_refused(tmp_path: Path, part: str) -> None:
    write_calibration(tmp_path, calibration())
    with pytest.raises(CalibrationError, match=f"another checkpoint: its {part} .*demur calibrate"):
        read_calibration(tmp_path, replace(IDENTITY, **{part: "f" * 64}))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 2}', "\x00"])
def test_damage_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(CalibrationError, match=r"calibration\.json is damaged.*demur calibrate"):
        read_calibration(tmp_path, IDENTITY)


def test_quantiles_ascend() -> None:
    with pytest.raises(ValidationError, match="must not descend"):
        SignalSummary(mean=0, variance=0, quantiles=(*range(100), 5))


def test_quantiles_are_percents_and_an_unmeasured_signal_is_named() -> None:
    measured = calibration(entropy_98=0.5)
    assert measured.signal("entropy").quantile(98) == 0.5
    with pytest.raises(ParameterError, match="no signal 'margin', only entropy"):
        measured.signal("margin")
