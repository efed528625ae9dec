"""Which sampler works on which rows of a batch, and in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from app.decoding.sampling.declaration import FeedbackStep, HistoryStep, ShapeStep
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.samplers import SAMPLERS, SETTINGS

_Step = TypeVar("_Step", HistoryStep, ShapeStep, FeedbackStep)


@dataclass(frozen=True)
class Stage(Generic[_Step]):
    """A step of a sampler, with the rows that it is for.

    rows: their numbers in the batch. params: theirs. index: their places among the logits; None: they are
        all there are.
    """

    sampler: str
    step: _Step
    rows: Sequence[int]
    params: Sequence[SamplingParams]
    index: Tensor | None

    def take(self, logits: Tensor) -> Tensor:
        """Its own rows of logits, or of anything else that has a row for each."""
        return logits if self.index is None else logits[self.index]

    def put(self, logits: Tensor, changed: Tensor) -> Tensor:
        """Logits with its own rows changed."""
        return changed if self.index is None else logits.index_copy(0, self.index, changed)


def rows_by_sampler(params: Sequence[SamplingParams]) -> list[tuple[str, list[int]]]:
    """Samplers in the order in which to apply them, each with its rows.

    Rows of the same order are taken together; those of another order follow, and do not notice.
    """
    orders: dict[tuple[str, ...] | None, list[int]] = {}
    for row, each in enumerate(params):
        orders.setdefault(each.samplers, []).append(row)
    ordered: list[tuple[str, list[int]]] = []
    for order, rows in orders.items():
        active = {row: set(params[row].active) for row in rows}
        for name in SAMPLERS if order is None else order:
            users = [row for row in rows if name in active[row]]
            if users:
                ordered.append((name, users))
    return ordered


def stages_of(
    kind: type[_Step],
    ordered: Sequence[tuple[str, Sequence[int]]],
    params: Sequence[SamplingParams],
    places: Mapping[int, int],
    device: torch.device,
) -> list[Stage[_Step]]:
    """The steps of one kind that the samplers `ordered` take, each with the rows that take it.

    places: of the rows among the logits.
    """
    stages: list[Stage[_Step]] = []
    for name, users in ordered:
        for step in SAMPLERS[name].steps:
            if not isinstance(step, kind):
                continue
            rows = [row for row in users if step.when(params[row])]
            if not rows:
                continue
            index = None
            if len(rows) < len(places):
                index = torch.tensor([places[row] for row in rows], dtype=torch.int64, device=device)
            stages.append(Stage(name, step, rows, [params[row] for row in rows], index))
    return stages


def columns_of(stage: Stage[ShapeStep], device: torch.device) -> list[Tensor]:
    """One value per row (R,) of each field that the stage's step reads."""
    columns: list[Tensor] = []
    reads = stage.step.reads
    for name in SAMPLERS[stage.sampler].fields if reads is None else reads:
        dtype = torch.int64 if isinstance(SETTINGS[name].default, int) else torch.float32
        columns.append(torch.tensor([vars(each)[name] for each in stage.params], dtype=dtype, device=device))
    return columns
