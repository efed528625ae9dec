"""Which tokens of labelled completions are read, and what is known of each before the model has run."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from models.language_model import ModelSpec
from models.tokenizer import Tokenizer
from probes.fitting.labels import LabelledCompletion
from probes.position import Position, split_steps


@dataclass(frozen=True)
class Text:
    """The tokens of a completion and of what stands before it."""

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A reading to be made.

    at: index of the token that is read, among the completion's. start: of the first token of its step.
    step, tokens_left, first_token, wrong, kind: see `probes.fitting.readings.Table`.
    """

    at: int
    start: int
    step: int
    tokens_left: int
    first_token: int
    wrong: bool
    kind: str


RowsByPosition = Mapping[str, Sequence[Row]]
"""Rows of one completion by name of position."""


def text_of(tokenizer: Tokenizer, spec: ModelSpec, labelled: LabelledCompletion) -> Text:
    """The tokens of a completion, cut where the model's context ends."""
    prompt = tokenizer.encode_prompt(labelled.prompt)
    ids = list(labelled.completion_ids) or tokenizer.encode(labelled.completion)
    if labelled.ended and not labelled.completion_ids and spec.end_token_id is not None:
        ids.append(spec.end_token_id)
    return Text(tuple(prompt), tuple(ids[: spec.context_length - len(prompt)]))


def rows_of(
    tokenizer: Tokenizer,
    spec: ModelSpec,
    labelled: LabelledCompletion,
    text: Text,
    positions: Sequence[Position],
    keep_correct: bool,
) -> RowsByPosition:
    """What is to be read of a completion.

    Args:
        keep_correct: whether its correct steps are, not only a wrong one.
    """
    ids = text.ids
    ends = _ends(tokenizer, ids, spec.end_token_ids)
    found: dict[str, list[Row]] = {position.name: [] for position in positions}
    for number, step in split_steps(ids, set(positions[0].closing)):
        start, end = ends[step.start - 1] if step.start else 0, ends[step.stop - 1]
        kind = _kind(labelled, start, end)
        if labelled.judged is not None and start >= labelled.judged:
            break
        if end <= labelled.judged_from:
            continue
        for position in positions:
            is_prompt = position.at == "prompt"
            wrong = not labelled.is_correct if is_prompt else bool(kind)
            if not (wrong or keep_correct) or not (is_prompt or _is_checked(labelled, start, end)):
                continue
            found[position.name] += [
                Row(
                    at=at,
                    start=step.start,
                    step=number,
                    tokens_left=step.stop - at,
                    first_token=ids[step.start],
                    wrong=wrong,
                    kind="wrong" if is_prompt and wrong else kind,
                )
                for at in step
                if position.is_read(ids[step.start : at], ids[at], number)
            ]
    return found


def planned(
    tokenizer: Tokenizer,
    spec: ModelSpec,
    labels: Sequence[LabelledCompletion],
    positions: Sequence[Position],
    keep: Callable[[LabelledCompletion], bool],
) -> tuple[list[Text], list[RowsByPosition]]:
    """The tokens of every completion and what is to be read of it."""
    texts = [text_of(tokenizer, spec, each) for each in labels]
    rows = [
        rows_of(tokenizer, spec, each, text, positions, keep(each))
        for each, text in zip(labels, texts, strict=True)
    ]
    return texts, rows


def _ends(tokenizer: Tokenizer, ids: Sequence[int], end_token_ids: Collection[int]) -> list[int]:
    """Characters of the completion up to and with each token; an end token has none."""
    ends: list[int] = []
    text = b""
    for token_id in ids:
        text += b"" if token_id in end_token_ids else tokenizer.token_bytes(token_id)
        ends.append(len(text.decode(errors="ignore")))
    return ends


def _kind(labelled: LabelledCompletion, start: int, end: int) -> str:
    """What is wrong with the characters `start` to `end`; empty if nothing is."""
    return next((span.kind for span in labelled.wrong if span.start < end and start < span.end), "")


def _is_checked(labelled: LabelledCompletion, start: int, end: int) -> bool:
    """Whether somebody judged some of the characters `start` to `end`."""
    return labelled.checked is None or any(first < end and start < last for first, last in labelled.checked)
