"""One tick's forward pass: which sequences take part, what each still lacks in the cache, and the run.

Sequences of the same ids are computed once: samples of a sure model, branches that have not parted yet, and
strategies that are compared on one problem write the same for a long time.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from time import perf_counter
from typing import Any

from app.engine.memory import with_memory
from app.engine.rows import PassResult, Pending, Row
from app.engine.slot import Salt, Standing
from app.engine.slots import SlotTable
from app.engine.turns import Portion, Turn, brisk_part
from models.language_model import KVCache, LanguageModel, PrefillRow, StepOutput

PASSED_OVER = 1
"""Passes in a row that short prompts may have before a long one, which is in its turn too, is read on."""


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
        self._passed_over = 0

    def can_begin(self, pending: Pending, whole: int) -> bool:
        """Whether its request has no token yet and could have one after this pass: it has a slot of its own,
        and no more is to be read than `whole`, which one pass does."""
        request = pending.task.request
        if request is None or not (pending.group.fresh and pending.choice.standing.entitled):
            return False
        slot = self._slots.of(request.sequence)
        known = 0 if slot is None else slot.valid
        return len(request.sequence.context.ids) - known <= max(1, whole)

    def select(
        self, pending: Iterable[Pending], turn: Turn, portion: Portion
    ) -> tuple[list[Row], list[Pending]]:
        """The rows of this tick, of choices that began first before others, and who has to wait for the next.

        pending: those who wait longest come first, which decides about a brisk turn. portion: of prompts. A
        text that lacks more than one pass reads is read in pieces, and shorter prompts come before it: who
        asks for little does not wait until much is read. Such texts take turns, a piece a pass, and have at
        least every other pass, whatever comes; of those that are the same, the first is read.
        """
        waiting: list[Pending] = []
        homeless = False
        for each in sorted(pending, key=_number):
            if each.task.request is not None:
                waiting.append(each)
                homeless = homeless or each.task.request.sequence.context.slot is None
        if homeless:
            self._place(waiting)
        later: list[Pending] = []
        if turn.brisk:
            part = set(brisk_part(filter(self._is_placed, pending), lambda each: each.group))
            later = [each for each in pending if each.task.request is not None and each not in part]
            waiting = [each for each in waiting if each in part]
        owed = self._passed_over >= PASSED_OVER and any(self._lacks(each) > portion.whole for each in waiting)
        room = turn.rows - owed
        rows: list[Row] = []
        long: list[Row] = []
        leaders: dict[tuple[int, int], list[Row]] = {}
        computed = prefilled = 0
        for each in waiting:
            request = each.task.request
            assert request is not None, "else its branch was stopped, and it is not among these"
            sequence = request.sequence
            ids = sequence.context.ids
            slot = self._slots.of(sequence)
            alike = leaders.setdefault((len(ids), ids[-1]), [])
            leader = _same(alike, ids, each.choice.standing.salt) if alike else None
            if slot is None:
                later.append(each)
                continue
            # The last id always goes through the model: its logits are what is asked for.
            start = min(slot.valid, len(ids) - 1)
            missing = len(ids) - start
            if leader is None and missing > max(1, portion.whole):
                later.append(each)
                if not _same(long, ids, each.choice.standing.salt):  # else it follows that one at the end
                    long.append(Row(each, request, slot, ids, start, len(ids)))
                continue
            if leader is None and (
                computed == room or (missing > 1 and prefilled and prefilled + missing > portion.together)
            ):
                later.append(each)
                continue
            row = Row(each, request, slot, ids, start, len(ids), leader)
            if leader is None:
                alike.append(row)
                prefilled += missing if missing > 1 else 0
                computed += 1
            self._slots.use(slot)
            rows.append(row)
        if long:
            goes_on = computed < turn.rows and (owed or not prefilled)
            self._passed_over = 0 if goes_on else self._passed_over + 1
            if goes_on:
                row = min(long, key=_used)
                self._slots.use(row.slot)
                self._slots.catch_up(row.slot)  # others may have read the same beginning meanwhile
                start = min(row.slot.valid, len(row.ids) - 1)
                row.start, row.taken_over = start, start - row.start
                row.end = min(row.start + portion.piece, len(row.ids))
                rows.append(row)
                if row.end == len(row.ids):
                    later.remove(row.pending)
        if later and not rows:  # live requests hold every slot, and it is the background's turn
            first = later[0]
            assert first.task.request is not None
            self._slots.assign(first.task.request.sequence, first.choice.standing, seize=True)
            return self.select(later, turn, portion)
        return rows, later

    def _lacks(self, pending: Pending) -> int:
        """How many ids are not in the cache, of a sequence that has a slot; 0 of another."""
        assert pending.task.request is not None
        sequence = pending.task.request.sequence
        slot = self._slots.of(sequence)
        return 0 if slot is None else len(sequence.context.ids) - slot.valid

    def _is_placed(self, pending: Pending) -> bool:
        return pending.task.request is not None and self._slots.of(pending.task.request.sequence) is not None

    def _place(self, waiting: Sequence[Pending]) -> None:
        """Give slots to sequences that have none: first to choices that have fewer than they are entitled to,
        then to whom there is room for."""
        full: set[Standing] = set()
        for entitled in (True, False):
            for each in waiting:
                assert each.task.request is not None
                sequence, standing = each.task.request.sequence, each.choice.standing
                if standing in full or (entitled and standing.held >= standing.entitled):
                    continue
                if self._slots.of(sequence) is None and self._slots.assign(sequence, standing) is None:
                    full.add(standing)

    def run(self, rows: Sequence[Row]) -> PassResult:
        """The forward pass: one `prefill` for rows that lack several ids, one `step` for the rest."""
        outcome = PassResult()
        layers: Sequence[int] = ()
        several: list[Row] = []
        single: list[Row] = []
        followers: list[Row] = []
        for row in rows:
            if row.pending.choice.owner.reading.probes is not None:
                layers = self._probed_layers
            if row.leader is not None:
                followers.append(row)
            else:
                (single if row.end - row.start == 1 else several).append(row)
        places: dict[Row, int] = {}
        began = perf_counter()
        if several and self._record(outcome, places, several, partial(self._prefill, layers)):
            outcome.prefill_tokens = sum(row.end - row.start for row in several)
            outcome.prefill_seconds = perf_counter() - began
        if single:
            began = perf_counter()
            if self._record(outcome, places, single, partial(self._step, layers)):
                outcome.step_rows, outcome.step_seconds = len(single), perf_counter() - began
        if len(rows) == len(single) == outcome.computed:
            outcome.rows = single  # as nearly always: they are in order
            return outcome
        self._share(outcome, places, followers)
        # What becomes of a row must not depend on how its logits came about, so the order is that of `rows`.
        outcome.put_in_order([row for row in rows if row in places and row.end == len(row.ids)], places)
        return outcome

    def _record(
        self,
        outcome: PassResult,
        places: dict[Row, int],
        rows: list[Row],
        forward: Callable[[list[Row]], StepOutput],
    ) -> bool:
        """Run rows and note where in the logits each is. Returns whether the pass succeeded."""
        outcome.passes += 1
        try:
            output = with_memory(partial(forward, rows), self._slots.keep_nothing)
        except Exception as error:
            for row in rows:
                row.slot.forget()
            outcome.failed.extend((row, error) for row in rows)
            return False
        for row in rows:
            row.slot.written(row.end)
            places[row] = len(places)
            outcome.computed += row.end == len(row.ids)
        outcome.found = output if outcome.found is None else outcome.found.before(output)
        return True

    def _share(self, outcome: PassResult, places: dict[Row, int], followers: list[Row]) -> None:
        """Give rows what their leaders found: their part of the cache, and the place of their logits."""
        errors = dict(outcome.failed)
        for row in followers:
            assert row.leader is not None
            if row.leader in errors:
                outcome.failed.append((row, errors[row.leader]))
                continue
            try:
                self._slots.copy(row.leader.slot, row.slot, row.start, row.end)
            except Exception as error:
                row.slot.forget()
                outcome.failed.append((row, error))
            else:
                places[row] = places[row.leader]

    def _prefill(self, layers: Sequence[int], rows: list[Row]) -> StepOutput:
        appended = [
            PrefillRow(row.slot.index, row.start, tuple(row.ids[row.start : row.end])) for row in rows
        ]
        return self._model.prefill(self._cache, appended, layers)

    def _step(self, layers: Sequence[int], rows: list[Row]) -> StepOutput:
        columns = [(row.ids[row.end - 1], row.slot.index, row.end - 1) for row in rows]
        token_ids, slots, positions = zip(*columns, strict=True)
        return self._model.step(self._cache, token_ids, slots, positions, layers)


def _same(rows: Iterable[Row], ids: list[int], salt: Salt) -> Row | None:
    """The row that has the same ids, of somebody who shares with whoever brings this salt."""
    return next((row for row in rows if row.ids == ids and row.pending.choice.standing.salt == salt), None)


_number = attrgetter("choice.standing.number")
_used = attrgetter("slot.used")
