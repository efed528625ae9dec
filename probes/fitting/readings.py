"""What probes are fitted on and judged by: hidden states and signals at the reading positions of labelled
completions, by teacher forcing."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.decoder import Decoder
from models.language_model import LanguageModel
from models.native.native_decoder import NativeDecoder
from models.tokenizer import Tokenizer
from probes.arrays import Bools, Floats, Ints
from probes.fitting.labels import LabelledCompletion
from probes.fitting.rows import Row, RowsByPosition, Text, planned
from probes.fitting.state_store import Plan, StateArrays, StateStore, in_memory
from probes.inputs import CURRENT, signal_features, token_signals
from probes.position import Position

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """Readings at one position, one row per reading.

    Attributes:
        layers: which layers `hidden` and `pooled` hold; those that were asked for are among them.
        hidden: (n, layers, d) hidden states, in float32, or in float16 from files. pooled: the same, their
            mean over the tokens of the step so far.
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
    store: StateStore | None = None,
) -> dict[str, Table]:
    """Run the model over labelled completions and read at every position; a table per position's name.

    Args:
        keep: whether the correct steps of a completion are read, not only a wrong one.
        about: ids of the tokens that have a column in `Table.about`.
        workers: threads, for models that allow more than one.
        on_progress: called with the number of completions that were just read.
        store: where the states go, and may be already; by default they stay in memory.
    """
    texts, rows = planned(tokenizer, model.spec, labels, positions, keep)
    plan = Plan(
        texts=_digest([(text.prompt_ids, text.ids) for text in texts]),
        rows={each.name: _digest([_places(found[each.name]) for found in rows]) for each in positions},
        layers=tuple(layers),
        counts={each.name: sum(len(found[each.name]) for found in rows) for each in positions},
        d_model=model.spec.d_model,
    )
    arrays = in_memory(plan) if store is None else store.open(plan, len(labels))
    on_progress(arrays.done)
    places = {name: sum(len(found[name]) for found in rows[: arrays.done]) for name in plan.counts}

    def one(index: int) -> dict[str, list[_Reading]]:
        return _read_one(model, texts[index], rows[index], layers)

    # A network of transformers is read by hooks, which several threads would share.
    threads = workers if isinstance(model, Decoder | NativeDecoder) else 1
    with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
        for index, found in enumerate(pool.map(one, range(arrays.done, len(labels))), arrays.done + 1):
            for name, readings in found.items():
                for reading in readings:
                    arrays.put(name, places[name], reading.hidden, reading.pooled, reading.signals)
                    places[name] += 1
            arrays.note(index)
            on_progress(1)
    arrays.finish(len(labels))
    columns = {token_id: column for column, token_id in enumerate(about)}
    abouts = [_about(tokenizer, each, columns) for each in labels]
    return {position.name: _table(position, arrays, rows, labels, abouts) for position in positions}


def _digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _places(rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """All of the rows that what is read depends on."""
    return [(row.at, row.start, row.step) for row in rows]


@dataclass(frozen=True)
class _Reading:
    """What the model says at one row: (layers, d) states twice, and (S,) features."""

    hidden: Array
    pooled: Array
    signals: Floats


@torch.inference_mode()
def _read_one(
    model: LanguageModel[Any], text: Text, rows: RowsByPosition, layers: Sequence[int]
) -> dict[str, list[_Reading]]:
    if not any(rows.values()):
        return {}
    output = model.score([*text.prompt_ids, *text.ids][:-1], layers)
    first = len(text.prompt_ids) - 1
    signals = token_signals(output.logits[first:], torch.tensor(text.ids, device=output.logits.device))
    hidden = torch.stack([output.hidden[layer][first:] for layer in layers], dim=1).cpu().numpy()

    def reading(row: Row) -> _Reading:
        return _Reading(
            hidden=hidden[row.at].copy(),  # a view would keep the whole text
            pooled=hidden[row.start : row.at + 1].mean(axis=0),
            signals=signal_features(signals[row.start : row.at], signals[row.at, : len(CURRENT)], row.step),
        )

    return {name: [reading(row) for row in found] for name, found in rows.items()}


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
    arrays: StateArrays,
    rows: Sequence[RowsByPosition],
    labels: Sequence[LabelledCompletion],
    abouts: Sequence[NDArray[np.int8]],
) -> Table:
    found = [(index, row) for index, each in enumerate(rows) for row in each[position.name]]
    owners = [labels[index] for index, _ in found]
    return Table(
        position=position,
        layers=arrays.layers,
        hidden=arrays.hidden[position.name],
        pooled=arrays.pooled[position.name],
        signals=arrays.signals[position.name],
        wrong=np.array([row.wrong for _, row in found], dtype=np.bool_),
        kind=np.array([row.kind for _, row in found], dtype=np.str_),
        about=np.array([abouts[index] for index, _ in found], dtype=np.int8),
        group=np.array([group_number(owner.group_name) for owner in owners], dtype=np.int64),
        step=np.array([row.step for _, row in found], dtype=np.int64),
        tokens_left=np.array([row.tokens_left for _, row in found], dtype=np.int64),
        first_token=np.array([row.first_token for _, row in found], dtype=np.int64),
        own=np.array([owner.own for owner in owners], dtype=np.bool_),
        domain=np.array([owner.domain for owner in owners], dtype=np.str_),
        op=np.array([owner.tags.get("op", np.nan) for owner in owners], dtype=np.float32),
        temperature=np.array([owner.tags.get("temperature", np.nan) for owner in owners], dtype=np.float32),
    )
