"""From a GGUF to a model that can be served, with its tokenizer."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from models.errors import ArtifactError, SpecError, first_line
from models.file_hashes import known_hash
from models.gguf.gguf_model import GgufModel
from models.gguf.llama_library import llama_library
from models.gguf.llama_model import LlamaModel, load_llama_model
from models.gguf.tokenizer_folder import tokenizer_folder
from models.gguf_file import GgufFacts, check_file, read_facts
from models.hub.dtypes import Precision
from models.hub_tokenizer import load_tokenizer
from models.language_model import ModelSpec, end_token_ids
from models.tokenizer import Tokenizer

_MOST_LAYERS, _MOST_POSITIONS = 512, 2**31 - 1
"""Of llama.cpp's."""


@dataclass(frozen=True)
class OpenedGguf:
    """A model and its tokenizer. digest: sha256, in hex, of the file, which holds the weights as they are
    quantised, all sizes and the vocabulary."""

    model: GgufModel
    tokenizer: Tokenizer
    digest: str


def open_gguf(path: Path, device: str, precision: Precision) -> OpenedGguf:
    """Load a GGUF.

    Raises:
        ArtifactError: a package or the file is missing, it is damaged, or of a kind that is not served.
        SpecError: a precision is asked for, or a device that the library was not built for.
    """
    if precision != "auto":
        raise SpecError(
            f"dtype is {precision!r}, but {path.name} is computed with as it is quantised; leave it at auto, "
            "or make a checkpoint folder of the file with demur convert"
        )
    llama_library()
    check_file(path)
    facts = read_facts(path)
    before = _version_of(path)
    with ThreadPoolExecutor(1, "hash") as beside:
        hashed = beside.submit(known_hash, [path])
        try:
            _check_served(facts)
            loaded = load_llama_model(path, device)
            digest = hashed.result()
            tokenizer = _tokenizer(path, facts, digest)
            model = GgufModel(loaded, _spec(path, loaded, facts, tokenizer))
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}") from error
    if _version_of(path) != before:
        raise ArtifactError(f"{path} was changed while it was read; try again")
    return OpenedGguf(model, tokenizer, digest)


def _check_served(facts: GgufFacts) -> None:
    if facts.parts > 1:
        raise ArtifactError(
            f"it is one of {facts.parts} parts of a model; put them together with llama.cpp's "
            "llama-gguf-split --merge"
        )
    if any("rope_factors_long" in name for name in facts.tensors):
        raise ArtifactError(
            "its positions depend on the size of the cache (longrope); make a checkpoint folder of it with "
            "demur convert"
        )
    _check_numbers(facts.numbers)


def _check_numbers(numbers: Mapping[str, float]) -> None:
    """Refuse what llama.cpp would end the process for, and not only the load."""
    experts = numbers.get("expert_count", 0)
    allowed = {
        "block_count": (1, _MOST_LAYERS),
        "context_length": (1, _MOST_POSITIONS),
        "expert_used_count": (min(1, experts), experts),
        **{name: (0.0, 1.0) for name in numbers if name.endswith("epsilon")},
    }
    for name, (least, most) in allowed.items():
        if name in numbers and not least <= numbers[name] <= most:  # nor is NaN
            raise ArtifactError(f"it is damaged: its {name} is {numbers[name]:g}, not {least:g} to {most:g}")


def _tokenizer(path: Path, facts: GgufFacts, digest: str) -> Tokenizer:
    try:
        with tokenizer_folder(path, facts, digest) as folder:
            return load_tokenizer(folder, is_ours=False)
    except ArtifactError:
        raise
    except Exception as error:  # whatever transformers stumbles over in a vocabulary
        raise ArtifactError(
            f"transformers makes no tokenizer of a {facts.architecture} file: {first_line(error)}"
        ) from error


def _spec(path: Path, model: LlamaModel, facts: GgufFacts, tokenizer: Tokenizer) -> ModelSpec:
    return ModelSpec(
        name=path.resolve().name,
        vocab_size=model.vocab_size,
        context_length=model.context_length,
        d_model=model.d_model,
        n_layers=model.n_layers,
        parameters=model.parameters,
        end_token_ids=end_token_ids(facts.end_token_ids, tokenizer.end_token_id, vocab_size=model.vocab_size),
        kernel="llama.cpp",
        dtype="auto",
        quantisation=model.quantisation,
    )


def _version_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file does, of what takes no time to ask."""
    try:
        now = os.stat(path)
    except OSError as error:
        raise ArtifactError(f"{path} was taken away while it was read: {error.strerror or error}") from error
    return now.st_ino, now.st_size, now.st_mtime_ns
