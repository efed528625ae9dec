"""Labels of a user's own prompts: the model writes, a program of the user's marks what is wrong."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.complete import complete
from models.files import read_bytes
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.errors import LabelsError
from probes.fitting.labels import LabelledCompletion, Part, check_spans

BATCH = 128


class Prompt(BaseModel):
    """A line of a file of prompts; see `LabelledCompletion` for `group`, `part` and `domain`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Annotated[str, Field(min_length=1)]
    group: str = ""
    part: Part | None = None
    domain: str = "id"


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a JSON Lines file.

    Raises:
        LabelsError: a line is not a prompt; the message names it.
    """
    prompts: list[Prompt] = []
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        if line.strip():
            try:
                prompts.append(Prompt.model_validate_json(line))
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise LabelsError(
                    f'{path}, line {number}: {message}; a line is {{"prompt": "..."}}'
                ) from error
    if not prompts:
        raise LabelsError(f"{path} holds no prompt")
    return prompts


def write_completions(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    temperature: float,
    max_tokens: int,
    seed: int,
) -> list[LabelledCompletion]:
    """One completion of each prompt, not yet judged; one that is empty is left out.

    Raises:
        LabelsError: a prompt fills the model's context.
    """
    ids = [tokenizer.encode_prompt(prompt.prompt) for prompt in prompts]
    for prompt, tokens in zip(prompts, ids, strict=True):
        if not 0 < len(tokens) < model.spec.context_length:
            raise LabelsError(
                f"the prompt {prompt.prompt[:40]!r} has {len(tokens)} tokens; the model takes 1 to "
                f"{model.spec.context_length - 1}"
            )
    labels: list[LabelledCompletion] = []
    written: list[list[int]] = []
    for start in range(0, len(ids), BATCH):
        written += complete(model, ids[start : start + BATCH], temperature, seed + start, max_tokens)
    for prompt, tokens in zip(prompts, written, strict=True):
        text = tokenizer.decode(model.spec.without_end(tokens))
        if text:
            fields = prompt.model_dump(exclude_defaults=True)
            labels.append(
                LabelledCompletion(
                    completion=text, completion_ids=tuple(tokens), tags={"temperature": temperature}, **fields
                )
            )
    return labels


def ask_judge(labels: Sequence[LabelledCompletion], command: Sequence[str]) -> list[LabelledCompletion]:
    """Let a program judge completions.

    It gets them as JSON Lines on its standard input and writes each back, in the same order, with `wrong`
    (and `correct`, `judged`, if it likes) filled in.

    Raises:
        LabelsError: it fails, or does not answer with as many labelled completions.
    """
    lines = "".join(labelled.model_dump_json(exclude_defaults=True) + "\n" for labelled in labels)
    name = " ".join(command)
    try:
        ran = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LabelsError(f"the judge {name!r} cannot be run: {error.strerror or error}") from error
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise LabelsError(f"the judge {name!r} failed with status {ran.returncode}: {last}")
    answers = ran.stdout.splitlines()
    if len(answers) != len(labels):
        raise LabelsError(f"the judge {name!r} wrote {len(answers)} lines for {len(labels)} completions")
    judged: list[LabelledCompletion] = []
    for asked, answer in zip(labels, answers, strict=True):
        try:
            labelled = LabelledCompletion.model_validate_json(answer)
        except ValidationError as error:
            raise LabelsError(
                f"the judge {name!r} wrote {answer[:80]!r}: {error.errors()[0]['msg']}"
            ) from error
        if (labelled.prompt, labelled.completion) != (asked.prompt, asked.completion):
            raise LabelsError(f"the judge {name!r} changed or moved the completion of {asked.prompt[:40]!r}")
        check_spans(labelled, f"the judge {name!r}")
        judged.append(labelled)
    return judged
