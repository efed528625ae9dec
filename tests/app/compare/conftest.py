"""The small checkpoint of the tests of comparisons."""

import pytest

from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import small_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    """Random weights of a corpus."""
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")
