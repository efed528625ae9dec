import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.errors import ArtifactError
from models.training.state import Progress, load_state, read_progress, save_state

PROGRESS = Progress(step=12, tokens=34_567, seconds=89.25)
CONFIG = {"rate": 0.02, "corpus": {"modulus": 11}, "name": "é"}


def tensors(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 4, generator=generator, requires_grad=True),
        "momentum": torch.randn(4, 3, generator=generator).mT,  # not contiguous
        "step": torch.randn((), generator=generator),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_state(tmp_path / "state.safetensors", tensors(), PROGRESS, CONFIG)
    return tmp_path / "state.safetensors"


def test_state_comes_back_bit_for_bit(path: Path) -> None:
    assert read_progress(path) == (PROGRESS, CONFIG)
    restored = tensors(seed=1)
    load_state(path, restored)
    assert all(torch.equal(restored[name], tensor) for name, tensor in tensors().items())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_new_state_replaces_the_old_one(path: Path) -> None:
    save_state(path, tensors(seed=1), Progress(step=13), CONFIG)
    assert read_progress(path) == (Progress(step=13), CONFIG)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_cut_file_is_refused_by_name(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    named = r"cannot read the training state .*state\.safetensors"
    with pytest.raises(ArtifactError, match=named):
        read_progress(path)
    with pytest.raises(ArtifactError, match=named):
        load_state(path, tensors())


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read the training state .*none"):
        read_progress(tmp_path / "none")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"progress": json.dumps({"step": 1})},
        {"progress": "{", "config": "{}"},
        {"progress": '{"steps": 1}', "config": "{}"},
    ],
)
def test_file_of_another_kind_is_refused_by_name(path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"weight": torch.zeros(2)}, path, metadata)
    with pytest.raises(ArtifactError, match=r"state\.safetensors is not the state of a pretraining run"):
        read_progress(path)


def test_state_of_another_network_is_refused_by_name(path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=r"does not fit this run: 2 tensors differ, among them \['bias', 'step'\]"
    ):
        load_state(path, {name if name != "step" else "bias": value for name, value in tensors().items()})
    with pytest.raises(ArtifactError, match=r"weight is \(3, 4\), not \(4, 4\)"):
        load_state(path, tensors() | {"weight": torch.zeros(4, 4)})
