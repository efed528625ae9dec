"""The small checkpoint of the HTTP tests, for the commands that load one."""

from pathlib import Path

import pytest

from tests.app.api.checkpoints import write_random_checkpoint


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `demur generate` loads."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_random_checkpoint(folder)
    return folder
