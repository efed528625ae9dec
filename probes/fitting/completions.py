"""Completions on disk, as they are written: one line each, so that a kill loses at most the last one."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.files import read_bytes, write_atomically
from probes.errors import LabelsError
from probes.fitting.json_lines import read_records
from probes.fitting.labels import LabelledCompletion, Part

_RECORD = ConfigDict(extra="forbid", frozen=True)


class Prompt(BaseModel):
    """A line of a file of prompts.

    answer: the right one where it is known, for judges that ask for it. See `LabelledCompletion` for `group`,
    `part` and `domain`.
    """

    model_config = _RECORD

    prompt: Annotated[str, Field(min_length=1)]
    answer: str = ""
    group: str = ""
    part: Part | None = None
    domain: str = "id"


class Written(BaseModel):
    """What a model wrote. token_ids: where they are known. ended: by itself, and not at a limit or a stop."""

    model_config = _RECORD

    text: str
    token_ids: tuple[int, ...] = ()
    ended: bool = False


class Asking(BaseModel):
    """How a file of completions was asked for; its first line.

    prompts: sha256 of the prompts. weights: sha256 of the model's.
    """

    model_config = _RECORD

    weights: str
    prompts: str
    samples: int
    temperature: float
    max_tokens: int
    stop: tuple[str, ...]
    seed: int

    @classmethod
    def prompts_hash(cls, prompts: Sequence[Prompt]) -> str:
        """sha256, in hex, of prompts in order."""
        return hashlib.sha256(json.dumps([each.prompt for each in prompts]).encode()).hexdigest()


@dataclass(frozen=True)
class Ask:
    """One completion that is asked for. seed: of its own, whatever else is asked for."""

    prompt: Prompt
    seed: int


Writer = Callable[[Sequence[Ask]], Iterator[Written]]
"""Writes completions, in order."""


def asks(prompts: Sequence[Prompt], asking: Asking) -> list[Ask]:
    """Every completion of a file, those of a prompt side by side, as a cache likes it."""
    return [
        Ask(prompt, _seed(asking.seed, asking.temperature, sample, prompt.prompt))
        for prompt in prompts
        for sample in range(asking.samples)
    ]


def write_all(
    path: Path,
    prompts: Sequence[Prompt],
    asking: Asking,
    writer: Writer,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[LabelledCompletion]:
    """Every completion, not yet judged; those that are in the file are read, the others are written to it.

    One that is empty is in the file, but has no label to get and is left out.

    Raises:
        LabelsError: the file was asked for otherwise, or is damaged.
    """
    asked = asks(prompts, asking)
    there = _resume(path, asking)[: len(asked)]
    on_progress(len(there))
    with path.open("a", encoding="utf-8") as file:
        for written in writer(asked[len(there) :]):
            file.write(written.model_dump_json(exclude_defaults=True) + "\n")
            file.flush()
            there.append(written)
            on_progress(1)
    pairs = zip(asked, there, strict=True)
    return [_unjudged(ask.prompt, written, asking) for ask, written in pairs if written.text]


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a JSON Lines file.

    Raises:
        LabelsError: a line is not a prompt; the message names it.
    """
    form = 'a line is {"prompt": "..."}, with "answer" where it is known'
    prompts = [prompt for _, prompt in read_records(path, Prompt, LabelsError, form)]
    if not prompts:
        raise LabelsError(f"{path} holds no prompt")
    return prompts


def require_answers(prompts: Sequence[Prompt]) -> None:
    """Raise LabelsError where a prompt has no answer to judge by."""
    for each in prompts:
        if not each.answer:
            raise LabelsError(no_answer(each.prompt))


def no_answer(prompt: str) -> str:
    """What to say of a prompt whose answer is needed and not known."""
    return (
        f"the prompt {prompt[:40]!r} has no answer to judge by; give one in its line: "
        '{"prompt": "...", "answer": "..."}'
    )


def _resume(path: Path, asking: Asking) -> list[Written]:
    """What a file holds; begun, if there is none, and cut where a kill left half a line."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (asking.model_dump_json() + "\n").encode())
        return []
    content = read_bytes(path)
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()
    try:
        if not lines:
            raise LabelsError(f"{path} does not say how it was asked for; delete it")
        found = Asking.model_validate_json(lines[0])
        written = [Written.model_validate_json(line) for line in lines[1:]]
    except ValidationError as error:
        raise LabelsError(f"{path} is damaged: {error.errors()[0]['msg']}; delete it") from error
    for name, asked in asking:
        if getattr(found, name) != asked:
            raise LabelsError(
                f"the completions in {path} were asked for with another {name}: {getattr(found, name)!r}, "
                f"not {asked!r}; delete the file, or give another --run"
            )
    if len(whole) < len(content):
        with path.open("rb+") as file:
            file.truncate(len(whole))
    return written


def _unjudged(prompt: Prompt, written: Written, asking: Asking) -> LabelledCompletion:
    return LabelledCompletion(
        completion=written.text,
        completion_ids=written.token_ids,
        ended=written.ended and not written.token_ids,
        tags={"temperature": asking.temperature},
        **prompt.model_dump(exclude_defaults=True),
    )


def _seed(seed: int, temperature: float, sample: int, prompt: str) -> int:
    name = f"{seed}/{temperature}/{sample}/{prompt}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])
