"""One tick's forward pass: which sequences take part, what each still lacks in the cache, and the run.

Sequences of the same ids are computed once: samples of a sure model, branches that have not parted yet, and
strategies that are compared on one problem write the same for a long time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.decoding.commands import Candidates, NextToken
from app.engine.choice import Choice
from app.engine.slots import Rank, Slot, SlotTable
from app.engine.tasks import Task
from app.engine.turns import Turn
from models.language_model import KVCache, LanguageModel, PrefillRow, StepOutput


@dataclass(eq=False, slots=True)
class Pending:
    """A task of a choice that waits for a token."""

    choice: Choice
    task: Task


@dataclass(eq=False, slots=True)
class Row:
    """A pending token's place in the forward pass.

    The ids from `start` to `end` go through the model. A row of the same ids as `leader`, which is in the
    same pass, takes what the leader finds instead.
    """

    pending: Pending
    request: NextToken | Candidates
    slot: Slot
    start: int
    end: int
    leader: "Row | None" = None

    @property
    def ids(self) -> list[int]:
        return self.request.sequence.context.ids


@dataclass
class Outcome:
    """logits (R, V) of `rows`, in their order, and the rows whose forward pass raised.

    hidden: (R, d) states by layer, if some row wants a probe. shared: how many of the rows, the last ones,
    took what another one found.
    """

    rows: list[Row] = field(default_factory=list[Row])
    logits: Tensor | None = None
    hidden: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])
    failed: list[tuple[Row, Exception]] = field(default_factory=list[tuple[Row, Exception]])
    passes: int = 0
    prefill_tokens: int = 0
    shared: int = 0


class Forward:
    """Runs a model over the sequences that wait for a token."""

    def __init__(
        self,
        model: LanguageModel[Any],
        cache: KVCache,
        slots: SlotTable,
        probed_layers: Sequence[int],
    ) -> None:
        self._model = model
        self._cache = cache
        self._slots = slots
        self._probed_layers = probed_layers

    def select(self, pending: Iterable[Pending], turn: Turn) -> tuple[list[Row], list[Pending]]:
        """The rows of this tick, choices of higher rank first, and who has to wait for the next."""
        rows: list[Row] = []
        later: list[Pending] = []
        leaders = _Leaders()
        prefilled = 0
        for each in sorted(pending, key=_rank):
            request = each.task.request
            if request is None:  # its branch was stopped meanwhile
                continue
            sequence = request.sequence
            leader = leaders.of(sequence.context.ids)
            if leader is None and leaders.count == turn.rows:
                later.append(each)
                continue
            slot = self._slots.of(sequence) or self._slots.assign(sequence, each.choice.rank)
            if slot is None:
                later.append(each)
                continue
            end = len(sequence.context.ids)
            # The last id always goes through the model: its logits are what is asked for.
            row = Row(each, request, slot, min(slot.valid, end - 1), end, leader)
            missing = end - row.start
            if leader is None and missing > 1:
                if prefilled and prefilled + missing > turn.prefill_tokens:
                    later.append(each)
                    continue
                prefilled += missing
            if leader is None:
                leaders.add(row)
            self._slots.use(slot)
            rows.append(row)
        if later and not rows:  # live requests hold every slot, and it is the background's turn
            first = later[0]
            assert first.task.request is not None
            self._slots.assign(first.task.request.sequence, first.choice.rank, seize=True)
            return self.select(later, turn)
        return rows, later

    def run(self, rows: Sequence[Row]) -> Outcome:
        """The forward pass: one `prefill` for rows that lack several ids, one `step` for the rest."""
        outcome = Outcome()
        is_probed = any(row.pending.choice.owner.reading.probes is not None for row in rows)
        layers = self._probed_layers if is_probed else ()
        computed = [row for row in rows if row.leader is None]
        whole = [row for row in computed if row.end - row.start > 1]
        single = [row for row in computed if row.end - row.start == 1]
        if whole and self._record(outcome, whole, partial(self._prefill, layers)):
            outcome.prefill_tokens = sum(row.end - row.start for row in whole)
        if single:
            self._record(outcome, single, partial(self._step, layers))
        if followers := [row for row in rows if row.leader is not None]:
            self._share(outcome, followers)
        return outcome

    def _record(self, outcome: Outcome, rows: list[Row], forward: Callable[[list[Row]], StepOutput]) -> bool:
        """Run rows and note what comes out. Returns whether anything did."""
        outcome.passes += 1
        try:
            output = forward(rows)
        except Exception as error:
            for row in rows:
                row.slot.forget()
            outcome.failed.extend((row, error) for row in rows)
            return False
        for row in rows:
            row.slot.written(row.end)
        outcome.rows.extend(rows)
        if outcome.logits is None:
            outcome.logits, outcome.hidden = output.logits, output.hidden
        else:
            outcome.logits = torch.cat((outcome.logits, output.logits))
            outcome.hidden = {
                layer: torch.cat((states, output.hidden[layer])) for layer, states in outcome.hidden.items()
            }
        return True

    def _share(self, outcome: Outcome, followers: list[Row]) -> None:
        """Give rows what their leaders found: their part of the cache, logits and hidden states."""
        errors = dict(outcome.failed)
        places = {row: place for place, row in enumerate(outcome.rows)}
        sources = list(places.values())
        for row in followers:
            assert row.leader is not None
            if row.leader in errors:
                outcome.failed.append((row, errors[row.leader]))
                continue
            self._slots.copy(row.leader.slot, row.slot, row.start, row.end)
            outcome.rows.append(row)
            sources.append(places[row.leader])
        if outcome.logits is None:
            return
        outcome.shared = len(sources) - len(places)
        index = torch.tensor(sources, device=outcome.logits.device)
        outcome.logits = outcome.logits[index]
        outcome.hidden = {layer: states[index] for layer, states in outcome.hidden.items()}

    def _prefill(self, layers: Sequence[int], rows: list[Row]) -> StepOutput:
        appended = [PrefillRow(row.slot.index, row.start, tuple(row.ids[row.start :])) for row in rows]
        return self._model.prefill(self._cache, appended, layers)

    def _step(self, layers: Sequence[int], rows: list[Row]) -> StepOutput:
        columns = [[row.ids[-1], row.slot.index, row.end - 1] for row in rows]
        # By way of numpy: torch reads nested lists several times slower.
        token_ids, slots, positions = torch.from_numpy(np.array(columns, dtype=np.int64).T.copy()).unbind()
        return self._model.step(self._cache, token_ids, slots, positions, layers)


def _rank(pending: Pending) -> Rank:
    return pending.choice.rank


class _Leaders:
    """The rows of a pass that are computed, to be found by their ids."""

    def __init__(self) -> None:
        self.count = 0
        self._alike: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)

    def of(self, ids: list[int]) -> Row | None:
        """The row that has these ids."""
        rows = self._alike.get((len(ids), ids[-1]), ())
        return next((row for row in rows if row.ids == ids), None)

    def add(self, row: Row) -> None:
        self.count += 1
        self._alike[len(row.ids), row.ids[-1]].append(row)
