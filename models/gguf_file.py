"""From a GGUF, the file format of llama.cpp, to an ordinary checkpoint folder.

transformers reads the file and multiplies its quantised weights out; here what it read is saved as if it had
never been a GGUF, with every token that ends a text, and what comes out is compared with the file.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from models.errors import ArtifactError, first_line
from models.files import opened, rewriting
from models.token_spelling import SPACE

_MAGIC = b"GGUF"
_PACKAGES = ("gguf", "accelerate")
_ENDS = ("eos", "eot", "eom")
"""What a GGUF calls the tokens that end a text, a turn, and a message within a turn."""

_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True)
class GgufFacts:
    """What a GGUF says of its model.

    Attributes:
        architecture: llama.cpp's name for it, such as `llama` or `gemma3`.
        tokens: the vocabulary, by id.
        end_token_ids: every token that ends a text.
        has_chat_template: whether it brings one along.
        parts: files that the model is divided into.
        tensors: names of those that are in this one.
        numbers: what it says of the network in single numbers, by names without the architecture.
    """

    architecture: str
    tokens: tuple[str, ...]
    end_token_ids: tuple[int, ...]
    has_chat_template: bool
    parts: int
    tensors: tuple[str, ...]
    numbers: Mapping[str, float]


def check_file(gguf: Path) -> None:
    """Refuse what cannot be read, before anything takes time.

    Raises:
        ArtifactError: a package is missing, or the file is no GGUF.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ArtifactError(
            f"reading a GGUF needs the package{'s' * (len(missing) > 1)} {' and '.join(missing)}; "
            "install them with pip install 'demur[gguf]'"
        )
    with opened(gguf) as file:
        begin = file.read(len(_MAGIC))
    if begin != _MAGIC:
        raise ArtifactError(f"{gguf} is no GGUF file: it begins with {begin!r}, not with {_MAGIC!r}")


def check_conversion(gguf: Path, folder: Path) -> None:
    """Refuse a conversion that cannot succeed, before anything is read.

    Raises:
        ArtifactError: see `check_file`; or the folder exists and is not empty.
    """
    check_file(gguf)
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file; give a folder that is not there yet")
    if folder.exists() and any(folder.iterdir()):
        raise ArtifactError(f"{folder} is not empty; give a folder that is not there yet, or remove it")


def convert(gguf: Path, folder: Path, dtype: torch.dtype, say: Callable[[str], None]) -> GgufFacts:
    """Write a GGUF as a folder that `AutoModelForCausalLM` and `AutoTokenizer` load: all of it or nothing.

    Args:
        dtype: of the weights that are written; what a quantised file holds is exact in float32 only.
        say: is told what begins now.

    Raises:
        ArtifactError: see `check_conversion`; or transformers cannot read the file, or other tokens come out.
    """
    check_conversion(gguf, folder)
    say(f"reading what {gguf.name} says of its model")
    facts = read_facts(gguf)
    with rewriting(folder.resolve()) as partial, _naming(gguf, facts):
        say(f"making a tokenizer of {len(facts.tokens):,} tokens")
        save_tokenizer(gguf, partial, facts)
        say("multiplying out the weights")
        _save_network(gguf, partial, dtype, facts.end_token_ids)
        say(f"putting {folder} in its place")
    return facts


def read_facts(path: Path) -> GgufFacts:
    """What a GGUF says of its model, without its weights.

    Raises:
        ArtifactError: the file is damaged, or no language model.
    """
    from transformers.integrations.gguf.reader import read_gguf_metadata

    try:
        fields, tensors = read_gguf_metadata(str(path), (_TOKENS,))
        ends = [fields.get(f"tokenizer.ggml.{end}_token_id") for end in _ENDS]
        return GgufFacts(
            architecture=fields["general.architecture"],
            tokens=tuple(fields[_TOKENS]),
            end_token_ids=tuple(dict.fromkeys(end for end in ends if end is not None)),
            has_chat_template="tokenizer.chat_template" in fields,
            parts=fields.get("split.count", 1),
            tensors=tensors,
            numbers=_numbers(fields),
        )
    except KeyError as error:
        raise ArtifactError(f"{path} has no {error.args[0]}; it is no language model") from error
    except Exception as error:  # whatever the reader stumbles over in a damaged file
        raise ArtifactError(f"{path} is damaged: {first_line(error)}") from error


def _numbers(fields: Mapping[str, Any]) -> Mapping[str, float]:
    prefix = f"{fields['general.architecture']}."
    own = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
    return {name: value for name, value in own.items() if isinstance(value, int | float)}


@contextmanager
def _naming(path: Path, facts: GgufFacts) -> Generator[None]:
    """Say of which file and architecture it is that something is wrong, in whoever's words."""
    try:
        yield
    except Exception as error:  # whatever the code of some architecture stumbles over
        raise ArtifactError(
            f"{path}, of the architecture {facts.architecture}, cannot be converted: {first_line(error)}"
        ) from error


def save_tokenizer(gguf: Path, folder: Path, facts: GgufFacts) -> None:
    """Write a GGUF's tokenizer into a folder. Takes seconds for each hundred thousand tokens.

    Raises:
        ArtifactError: other tokens come out than the file has.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    tokenizer.save_pretrained(folder)
    _check_tokens(folder, facts)


def _check_tokens(folder: Path, facts: GgufFacts) -> None:
    """Load what was saved, and see whether every id stands for the text that the file has for it.

    Raises:
        ArtifactError: one does not.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    made = {id_: token for token, id_ in tokenizer.get_vocab().items()}
    for id_, token in enumerate(facts.tokens):
        # A run of spaces that is a token of its own is written in either way.
        if made.get(id_, "").replace(SPACE, " ") != token.replace(SPACE, " "):
            raise ArtifactError(f"token {id_} is {token!r}, but transformers makes {made.get(id_)!r} of it")


def _save_network(gguf: Path, folder: Path, dtype: torch.dtype, end_token_ids: tuple[int, ...]) -> None:
    from transformers import AutoModelForCausalLM, GenerationConfig, GgufConfig

    read: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=dtype,
        local_files_only=True,
    )
    # What was read remembers that it was quantised, and refuses to be saved: its weights move to a new one.
    config: Any = deepcopy(read.config)
    config.__dict__.pop("quantization_config", None)
    with torch.device("meta"):
        network: Any = type(read)(config)
    network.load_state_dict(read.state_dict(), assign=True)
    network.tie_weights()
    network.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=list(end_token_ids) or None
    )
    network.save_pretrained(folder)
    # Files of weights come out readable by nobody but their owner.
    mode = (folder / "config.json").stat().st_mode
    for weights in folder.glob("*.safetensors"):
        weights.chmod(mode)
