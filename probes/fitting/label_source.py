"""Where a folder of labels comes from, so that those of one model are never taken for another's."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.checkpoint import Identity
from models.files import write_atomically
from probes.errors import LabelsError

SOURCE_FILE = "source.json"


class LabelSource(BaseModel):
    """The checkpoint that wrote the completions, and how they were drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(description="sha256 of the checkpoint's weights.")
    tokenizer: str = Field(description="sha256 of its tokenizer.")
    seed: int
    scale: float = Field(description="Factor on the planned number of problems.")

    @classmethod
    def of(cls, identity: Identity, seed: int, scale: float) -> "LabelSource":
        """What a checkpoint draws with this seed and scale."""
        return cls(weights=identity.weights, tokenizer=identity.tokenizer, seed=seed, scale=scale)


def read_source(folder: Path) -> LabelSource | None:
    """What a folder of labels says of itself; None if there is no label in it.

    Raises:
        LabelsError: it holds labels but does not say whose, or its note of it is damaged.
    """
    path = folder / SOURCE_FILE
    if not path.exists():
        if any(folder.glob("*.jsonl")):
            raise LabelsError(
                f"{folder} holds labels, but no {SOURCE_FILE} says which checkpoint they are of; delete the "
                "folder, or give another --run"
            )
        return None
    try:
        return LabelSource.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise LabelsError(f"{path} is damaged: {error}; delete {folder}, or give another --run") from error


def claim(folder: Path, source: LabelSource) -> None:
    """Say that labels of `source` are, or will be, in a folder.

    Raises:
        LabelsError: labels of another source are there.
    """
    found = read_source(folder)
    if found is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SOURCE_FILE, source.model_dump_json(indent=1).encode())
        return
    for name, theirs in found:
        mine = getattr(source, name)
        if theirs != mine:
            raise LabelsError(
                f"the labels in {folder} are of another source: their {name} is {theirs}, asked for is "
                f"{mine}; delete the folder, or give another --run"
            )
