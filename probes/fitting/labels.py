"""Labels: which part of a completion is wrong, from whatever judge, as JSON Lines.

One line is one completion:

    {"prompt": "...", "completion": "...", "wrong": [{"start": 27, "end": 69, "kind": "not_ready"}]}

`wrong` lists spans of characters of the completion. The other keys may be left out: see `LabelledCompletion`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.files import write_atomically
from probes.errors import LabelsError
from probes.fitting.json_lines import read_records

Part = Literal["fit", "validation", "calibration", "test"]
PARTS: tuple[Part, ...] = ("fit", "validation", "calibration", "test")
SHARES: Mapping[Part, float] = {"fit": 0.6, "validation": 0.1, "calibration": 0.1, "test": 0.2}

_NEWER = {"checked", "ended"}


class WrongSpan(BaseModel):
    """Characters `start` to `end` (exclusive) of a completion, and what is wrong with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "wrong"


class LabelledCompletion(BaseModel):
    """A completion and where it is wrong.

    Attributes:
        completion_ids: the completion as it was sampled; by default the tokens of its text.
        judged_from, judged: only the characters from the first to before the second were judged; by default
            all of them.
        own: the model wrote all of the judged part by itself. Where somebody else put a token of it, its
            surprisal tells nothing about the model's own mistakes, but its hidden states do.
        correct: whether the answer as a whole is right; by default whether nothing in it is wrong.
        group: completions of one group stay in one part and are resampled together; by default the prompt.
        part: what the completion is used for; see `probes.fitting.splits` for those that do not say it.
        domain: the parts of an evaluation that are reported apart, such as `id` and `ood`.
        about: for what may come next, whether it is needed: the text of a token to true or false.
        checked: spans of characters that were judged: a step outside of all of them has no label. By default
            everything between `judged_from` and `judged` was.
        answer: the right answer where it is known, for the judge.
        ended: the model ended the text by itself, though `completion_ids` do not say so.
        tags: whatever else is worth counting by, such as `op` and `temperature`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Annotated[str, Field(min_length=1)]
    completion: Annotated[str, Field(min_length=1)]
    wrong: tuple[WrongSpan, ...] = ()
    completion_ids: tuple[int, ...] = ()
    judged_from: int = 0
    judged: int | None = None
    own: bool = True
    correct: bool | None = None
    group: str = ""
    part: Part | None = None
    domain: str = "id"
    about: Mapping[str, bool] = Field(default_factory=dict[str, bool])
    tags: Mapping[str, float] = Field(default_factory=dict[str, float])
    checked: tuple[tuple[int, int], ...] | None = None
    answer: str = ""
    ended: bool = False

    @property
    def is_correct(self) -> bool:
        """Whether the whole answer is right."""
        return not self.wrong if self.correct is None else self.correct

    @property
    def group_name(self) -> str:
        """What the completion is resampled with."""
        return self.group or self.prompt


def sample(labels: Sequence[LabelledCompletion], count: int, seed: int) -> list[LabelledCompletion]:
    """At most so many of the completions, drawn from all of them, in their order."""
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    return [labels[index] for index in sorted(chosen.tolist())]


def read_labels(path: Path) -> list[LabelledCompletion]:
    """The completions of a JSON Lines file.

    Raises:
        LabelsError: a line is not JSON or not a labelled completion; the message names it.
        ArtifactError: the file cannot be read.
    """
    labels: list[LabelledCompletion] = []
    form = "see `demur probe label --help` for the format"
    for number, labelled in read_records(path, LabelledCompletion, LabelsError, form):
        check_spans(labelled, f"{path}, line {number}")
        labels.append(labelled)
    return labels


def write_labels(path: Path, labels: Iterable[LabelledCompletion]) -> None:
    """Write completions as JSON Lines, all or nothing; what is at its default is left out."""
    lines = (json.dumps(labelled.model_dump(exclude_defaults=True, mode="json")) for labelled in labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(line + "\n" for line in lines).encode())


def data_hash(labels: Sequence[LabelledCompletion]) -> str:
    """sha256, in hex, of what was labelled and how: evidence of the data that a probe was made from."""
    digest = hashlib.sha256()
    for labelled in labels:
        record: dict[str, Any] = labelled.model_dump(mode="json", exclude={"answer", *_NEWER})
        # Left out where nobody set them, so that labels from before they were keep their hash.
        record |= labelled.model_dump(mode="json", include=_NEWER, exclude_defaults=True)
        digest.update(json.dumps(record, sort_keys=True).encode())
    return digest.hexdigest()


def check_spans(labelled: LabelledCompletion, where: str) -> None:
    """Raise LabelsError, which begins with `where`, for a span that is not within the completion."""
    for span in labelled.wrong:
        if not span.start < span.end <= len(labelled.completion):
            raise LabelsError(
                f"{where}: the span {span.start} to {span.end} is not within the completion's "
                f"{len(labelled.completion)} characters"
            )
