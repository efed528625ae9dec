"""The files that hold the weights of a checkpoint, and how much memory these will take."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from models import hub_format
from models.errors import ArtifactError
from models.files import is_gguf, opened, read_json
from models.hub.dtypes import NUMBER_BYTES, Precision

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
"""Lists the several files of a large model."""

HEADS = ("lm_head.weight", "embed_out.weight", "output.weight")
"""What the head's weights are called; where they are tied to the embedding, a file may hold both."""

EMBEDDINGS = ("embed", "wte", "wpe")
"""Parts of the names of what `int8` leaves as it is, for it is looked up and not multiplied with."""

POSITIONS = "wpe"
"""Part of the name of the embedding that is only looked up, in our own networks."""

KEPT_BYTES = 2
"""Of a number that `int8` leaves as it is."""


@dataclass(frozen=True)
class StoredTensor:
    """What a file of weights says of a tensor."""

    name: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Its numbers."""
        return prod(self.shape)

    @property
    def is_head(self) -> bool:
        """Whether the last states are multiplied with it."""
        return self.name.endswith(HEADS)

    @property
    def is_embedding(self) -> bool:
        """Whether its rows are looked up."""
        return not self.is_head and any(part in self.name for part in EMBEDDINGS)

    @property
    def rounded_bytes(self) -> int:
        """Memory where `int8` is asked for: of matrices that are rounded, a byte a number and a scale a row.
        Experts are not: they are put together in one tensor."""
        if len(self.shape) != 2 or self.is_embedding or ".experts." in self.name:
            return KEPT_BYTES * self.elements
        return self.elements + KEPT_BYTES * max(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The one file of weights, or the several that an index names.

    Raises:
        ArtifactError: the index is damaged.
    """
    index_file = folder / INDEX_FILE
    if (folder / WEIGHTS_FILE).exists() or not index_file.exists():
        return [folder / WEIGHTS_FILE]
    files = read_json(index_file).get("weight_map")
    names = list(files.values()) if isinstance(files, dict) else list[Any]()
    if not names or any(Path(str(name)).name != name for name in names):
        raise ArtifactError(f"{index_file} does not name files of weights beside it")
    return [folder / name for name in sorted(set(names))]


def weight_bytes(folder: Path, precision: Precision = "auto", device: str = "cpu") -> int:
    """Bytes that the weights of a checkpoint take once they are loaded, by what its files say of them; of a
    GGUF those of the file.

    Raises:
        ArtifactError: the config or a file of weights is missing or damaged.
    """
    if is_gguf(folder):
        with opened(folder) as file:
            return os.fstat(file.fileno()).st_size
    config = read_json(folder / CONFIG_FILE)
    tensors = [tensor for path in weight_files(folder) for tensor in _stored(path)]
    if hub_format.is_ours(config):
        return sum(map(_own_bytes, tensors)) if precision == "int8" else 4 * sum(map(_elements, tensors))
    heads = [tensor for tensor in tensors if tensor.is_head]
    if precision == "int8":
        # A head that is tied has numbers of its own once it is rounded.
        embeddings = () if heads else (tensor for tensor in tensors if tensor.is_embedding)
        shared = max(embeddings, key=_elements, default=None)
        head = 0 if shared is None else shared.elements + KEPT_BYTES * max(shared.shape)
        return head + sum(tensor.rounded_bytes for tensor in tensors)
    tied = _text_config(config).get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    counted = [tensor for tensor in tensors if not (tied and tensor.is_head)]
    return sum(tensor.elements for tensor in counted) * _number_bytes(config, precision, device)


def _own_bytes(tensor: StoredTensor) -> int:
    """Of our own networks in int8: a byte a number of a matrix, and a float32 a row. An embedding is looked
    up as float32, and there once more where it is the head too."""
    looked_up = 4 * tensor.elements if tensor.is_embedding or len(tensor.shape) != 2 else 0
    is_multiplied = len(tensor.shape) == 2 and POSITIONS not in tensor.name
    rounded = tensor.elements + 4 * tensor.shape[0] if is_multiplied else 0
    return looked_up + rounded


def _number_bytes(config: Mapping[str, Any], precision: Precision, device: str) -> int:
    if precision != "auto" or device == "cpu":
        return NUMBER_BYTES[precision]
    named = _text_config(config)
    stored = (
        named.get("dtype") or named.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
    )
    return 2 if stored in ("bfloat16", "float16") else NUMBER_BYTES["float32"]


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """That of the decoder, of a model of texts and pictures."""
    given = config.get("text_config")
    return given if isinstance(given, dict) else config


def _elements(tensor: StoredTensor) -> int:
    return tensor.elements


def _stored(path: Path) -> Iterator[StoredTensor]:
    """The tensors in a file of weights. It begins with the size of a JSON object that has all shapes."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise ArtifactError(f"{path.name} is damaged: its header is longer than the file")
            header = json.loads(file.read(size))
        for name, entry in header.items():
            if name != "__metadata__":
                yield StoredTensor(name, tuple(map(int, entry["shape"])))
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ArtifactError(f"{path.name} is damaged: {error}") from error
