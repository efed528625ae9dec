"""What probes are fitted on and judged by: hidden states and signals at the reading positions of labelled
completions, by teacher forcing."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.decoder import Decoder
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.arrays import Bools, Floats, Ints
from probes.fitting.labels import LabelledCompletion
from probes.inputs import CURRENT, signal_features, token_signals
from probes.position import Position, split_steps

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """Readings at one position, one row per reading.

    Attributes:
        layers: which layers `hidden` and `pooled` hold.
        hidden: (n, layers, d) hidden states. pooled: the same, their mean over the tokens of the step so far.
        signals: (n, S) features of `probes.inputs`.
        wrong: (n,) whether the step (at `prompt`: the answer) is wrong. kind: (n,) what is wrong, or "".
        about: (n, tokens) 1 where the token is needed, 0 where not, -1 where nothing is known.
        group, step: (n,) which completions belong together, and how many steps came before.
        tokens_left: (n,) tokens of the step still to come, the one that is read included.
        first_token: (n,) id of the step's first token.
        own: (n,) whether the model wrote the step by itself.
        domain: (n,). op, temperature: (n,) tags of the completion, NaN where it has none.
    """

    position: Position
    layers: tuple[int, ...]
    hidden: Array
    pooled: Array
    signals: Array
    wrong: Bools
    kind: NDArray[np.str_]
    about: NDArray[np.int8]
    group: Ints
    step: Ints
    tokens_left: Ints
    first_token: Ints
    own: Bools
    domain: NDArray[np.str_]
    op: Array
    temperature: Array

    def __len__(self) -> int:
        return len(self.wrong)

    def take(self, rows: NDArray[Any]) -> "Table":
        """Some of the rows, by mask or index."""
        values = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        taken: dict[str, Any] = {name: value[rows] for name, value in values.items()}
        return Table(position=self.position, layers=self.layers, **taken)


@dataclass(frozen=True)
class _Reading:
    """One row, as long as it stands alone."""

    hidden: Array
    pooled: Array
    signals: Floats
    wrong: bool
    kind: str
    step: int
    tokens_left: int
    first_token: int


def read(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    labels: Sequence[LabelledCompletion],
    positions: Sequence[Position],
    layers: Sequence[int],
    keep: Callable[[LabelledCompletion], bool] = lambda _: True,
    about: Sequence[int] = (),
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Table]:
    """Run the model over labelled completions and read at every position; a table per position's name.

    Args:
        keep: whether the correct steps of a completion are read, not only a wrong one.
        about: ids of the tokens that have a column in `Table.about`.
        workers: threads, for models that allow more than one.
        on_progress: called with the number of completions that were just read.
    """
    rows: dict[str, list[tuple[int, _Reading]]] = {position.name: [] for position in positions}

    def one(index: int) -> dict[str, list[_Reading]]:
        return _read_one(model, tokenizer, labels[index], positions, layers, keep(labels[index]))

    # A network of transformers is read by hooks, which several threads would share.
    threads = workers if isinstance(model, Decoder) else 1
    with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
        for index, found in enumerate(pool.map(one, range(len(labels)))):
            for name, readings in found.items():
                rows[name].extend((index, reading) for reading in readings)
            on_progress(1)
    columns = {token_id: column for column, token_id in enumerate(about)}
    abouts = [_about(tokenizer, each, columns) for each in labels]
    return {
        position.name: _table(position, layers, rows[position.name], labels, abouts, model.spec.d_model)
        for position in positions
    }


@torch.inference_mode()
def _read_one(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    labelled: LabelledCompletion,
    positions: Sequence[Position],
    layers: Sequence[int],
    keep_correct: bool,
) -> dict[str, list[_Reading]]:
    prompt = tokenizer.encode_prompt(labelled.prompt)
    ids = list(labelled.completion_ids) or tokenizer.encode(labelled.completion)
    ids = ids[: model.spec.context_length - len(prompt)]
    output = model.score([*prompt, *ids][:-1], layers)
    first = len(prompt) - 1
    signals = token_signals(output.logits[first:], torch.tensor(ids, device=output.logits.device))
    hidden = torch.stack([output.hidden[layer][first:] for layer in layers], dim=1).cpu().numpy()
    ends = _ends(tokenizer, ids, model.spec.end_token_ids)
    closing = set(positions[0].closing)
    found: dict[str, list[_Reading]] = {position.name: [] for position in positions}
    for number, step in split_steps(ids, closing):
        start, end = ends[step.start - 1] if step.start else 0, ends[step.stop - 1]
        kind = _kind(labelled, start, end)
        if labelled.judged is not None and start >= labelled.judged:
            break
        if end <= labelled.judged_from:
            continue
        for position in positions:
            is_prompt = position.at == "prompt"
            wrong = not labelled.is_correct if is_prompt else bool(kind)
            if not (wrong or keep_correct):
                continue
            for at in step:
                if position.is_read(ids[step.start : at], ids[at], number):
                    reading = _Reading(
                        hidden=hidden[at].copy(),  # a view would keep the whole text
                        pooled=hidden[step.start : at + 1].mean(axis=0),
                        signals=signal_features(
                            signals[step.start : at], signals[at, : len(CURRENT)], number
                        ),
                        wrong=wrong,
                        kind="wrong" if is_prompt and wrong else kind,
                        step=number,
                        tokens_left=step.stop - at,
                        first_token=ids[step.start],
                    )
                    found[position.name].append(reading)
    return found


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


def _about(tokenizer: Tokenizer, labelled: LabelledCompletion, columns: dict[int, int]) -> NDArray[np.int8]:
    values = np.full(len(columns), -1, dtype=np.int8)
    if columns:
        for text, needed in labelled.about.items():
            values[columns[tokenizer.phrase_id(text)]] = needed
    return values


def group_number(group: str) -> int:
    """A number for a group, the same whatever else is read."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) >> 1


def _table(
    position: Position,
    layers: Sequence[int],
    rows: Sequence[tuple[int, _Reading]],
    labels: Sequence[LabelledCompletion],
    abouts: Sequence[NDArray[np.int8]],
    d_model: int,
) -> Table:
    readings = [reading for _, reading in rows]
    owners = [labels[index] for index, _ in rows]
    shape = (len(rows), len(layers), d_model)
    return Table(
        position=position,
        layers=tuple(layers),
        hidden=np.array([each.hidden for each in readings], dtype=np.float32).reshape(shape),
        pooled=np.array([each.pooled for each in readings], dtype=np.float32).reshape(shape),
        signals=np.array([each.signals for each in readings], dtype=np.float32),
        wrong=np.array([each.wrong for each in readings], dtype=np.bool_),
        kind=np.array([each.kind for each in readings], dtype=np.str_),
        about=np.array([abouts[index] for index, _ in rows], dtype=np.int8),
        group=np.array([group_number(owner.group_name) for owner in owners], dtype=np.int64),
        step=np.array([each.step for each in readings], dtype=np.int64),
        tokens_left=np.array([each.tokens_left for each in readings], dtype=np.int64),
        first_token=np.array([each.first_token for each in readings], dtype=np.int64),
        own=np.array([owner.own for owner in owners], dtype=np.bool_),
        domain=np.array([owner.domain for owner in owners], dtype=np.str_),
        op=np.array([owner.tags.get("op", np.nan) for owner in owners], dtype=np.float32),
        temperature=np.array([owner.tags.get("temperature", np.nan) for owner in owners], dtype=np.float32),
    )
