"""The state of a run on disk: one safetensors file, replaced in one go, so a kill leaves the old or new."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import ArtifactError
from models.files import write_atomically


@dataclass(frozen=True)
class Progress:
    """How far a run is: steps done, tokens seen, seconds spent."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def save_state(
    path: Path, tensors: Mapping[str, Tensor], progress: Progress, config: Mapping[str, Any]
) -> None:
    """Write the state atomically and durably."""
    metadata = {"progress": json.dumps(asdict(progress)), "config": json.dumps(config)}
    blob = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    write_atomically(path, blob)


def read_progress(path: Path) -> tuple[Progress, dict[str, Any]]:
    """Progress and config of a stored state.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    with _open(path) as file:
        metadata = file.metadata()
    try:
        return Progress(**json.loads(metadata["progress"])), json.loads(metadata["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not the state of a pretraining run: {error}") from error


def load_state(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Copy a stored state into the given tensors.

    Raises:
        ArtifactError: the file is damaged or its tensors are not those asked for.
    """
    with _open(path) as file, torch.no_grad():
        stored = set(file.keys())
        if stored != set(tensors):
            odd = sorted(stored ^ set(tensors))
            raise ArtifactError(
                f"{path} does not fit this run: {len(odd)} tensors differ, among them {odd[:3]}"
            )
        for name, tensor in tensors.items():
            value = file.get_tensor(name)
            if value.shape != tensor.shape:
                raise ArtifactError(f"{path}: {name} is {tuple(value.shape)}, not {tuple(tensor.shape)}")
            tensor.copy_(value)


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"cannot read the training state {path}: {error}") from error
