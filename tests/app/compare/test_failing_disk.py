"""A disk that fails while a comparison runs: it fails, says why, and has lost nothing when it goes on."""

import os
from pathlib import Path

import pytest

from app.compare.folder import read_outcomes
from app.compare.server.state import read_state
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.server.test_comparisons import comparing, long_spec, wait


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_disk_that_fails_midway_fails_the_comparison_and_keeps_what_was_found(
    call: str, checkpoint: LoadedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)
    calls = [0]

    def failing(*arguments: object) -> object:
        calls[0] += 1
        if calls[0] > 200:
            raise OSError(5, "Input/output error")
        return real(*arguments)

    def no_truncation(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with comparing(tmp_path, checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=3)
        monkeypatch.setattr(os, call, failing)
        monkeypatch.setattr(os, "ftruncate", no_truncation)
        status = wait(comparisons, id)
        monkeypatch.undo()
        assert status.status == "failed"
        assert "Input/output error" in (status.error or "")
        outcomes = read_outcomes(tmp_path / id)
        assert len(outcomes) >= status.done > 3
        comparisons.resume(id)
        wait(comparisons, id, outcomes=status.done + 3)
        assert read_outcomes(tmp_path / id)[: status.done] == outcomes[: status.done]
        comparisons.cancel(id)
        assert wait(comparisons, id).status == "cancelled"
        assert read_state(tmp_path / id).status == "cancelled"
