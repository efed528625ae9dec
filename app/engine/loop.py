"""The event loop of decoding, single-threaded: `DecodingLoop.tick` is the way of every token."""

import logging
from collections.abc import Iterable
from collections.abc import Sequence as Items
from time import monotonic, perf_counter

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.commands import TokenCommand
from app.decoding.core.live import LiveLog
from app.decoding.core.sequence import Sequence
from app.decoding.core.text import Ledger
from app.engine.ahead import WritingAhead
from app.engine.drawing import Drawing
from app.engine.failures import model_failure
from app.engine.forward import Forward
from app.engine.lanes import SPENT, Lane, Unread
from app.engine.reading import Reading, reading_of
from app.engine.requests import ActiveRequest, Choice, RequestGroup
from app.engine.resuming import Answer, Strategies
from app.engine.rows import Pending, Row
from app.engine.scoring import ScoreJob, Scorer, fail
from app.engine.slots import SlotTable
from app.engine.specs import SequenceSpecs
from app.engine.stream import Stream
from app.engine.tasks import Task, run
from app.engine.text import TextStream
from app.engine.turns import LiveOrder, PrefillPace, Turn, Turns
from app.engine.types import Counters, EngineLimits, GenerationRequest, PromptScored, Served
from app.engine.under_way import UnderWay
from models.language_model import KVCache, StepOutput
from models.writing_ahead import writes_ahead
from probes.probe import Probe
from probes.reader import ProbeReader

logger = logging.getLogger(__name__)


SPARE_SLOTS = 96
"""For texts that have ended, where they cost nothing: else as many texts are kept as there are rows, and none
while all of these are being written to."""


class DecodingLoop:
    """Decodes all requests together. Not thread-safe: `Engine` owns the thread that it runs in."""

    def __init__(
        self,
        served: Served,
        limits: EngineLimits,
        probes: Items[Probe] = (),
        calibration: SignalCalibration | None = None,
    ) -> None:
        self.model = served.model
        spec = self.model.spec
        self.context_length = min(spec.context_length, limits.max_context or spec.context_length)
        self.specs = SequenceSpecs(served, self.context_length, calibration)
        spare = SPARE_SLOTS if spec.cache_grows and limits.prefix_cache_bytes else 0
        self.cache: KVCache = self.model.new_cache(limits.max_rows + spare, self.context_length)
        self.slots = SlotTable(self.cache, limits.max_rows, limits.prefix_cache_bytes)
        self.counters = Counters()
        self.under_way = UnderWay(self.slots, self.counters, limits.max_queue_seconds)
        self.live, self.background = self.under_way.live, self.under_way.background
        self._strategies = Strategies(self.under_way, self.counters)
        self.unread = Unread()
        self.reader = ProbeReader(probes)
        self._limits = limits
        self._turns = Turns(limits.max_rows, limits.max_prefill_tokens)
        self._order = LiveOrder()
        self._pace = PrefillPace(limits.max_prefill_tokens)
        self._forward = Forward(self.model, self.cache, self.slots, self.reader.layers)
        self._ahead = WritingAhead(self.model, self.cache, self.reader)
        self.halt = self._ahead.halt
        model = writes_ahead(self.model)
        self._drawing = Drawing(self.reader) if model is None else Drawing(self.reader, model.draw)
        self._scorer = Scorer(self.model, self.counters, limits.max_prefill_tokens)
        self._background_group = RequestGroup(background=True)

    @property
    def idle(self) -> bool:
        """Nothing to do until something is submitted."""
        return not (self.live.groups or self.background.groups or self.unread.clients)

    @property
    def room(self) -> int:
        """How many live choices could begin at once, where all have slots alone to wait for; from any
        thread."""
        return 0 if self.unread.clients else self.slots.open()

    def submit(self, request: GenerationRequest, stream: Stream, group: RequestGroup | None = None) -> None:
        """Queue a request that was checked. group: new, or of other requests submitted in the same tick."""
        names = (*request.signals, *sorted(request.strategy.needs))
        reading = reading_of(names, request.top_logprobs, self.reader)
        group = self._background_group if request.background else group or RequestGroup()
        live = LiveLog() if request.live else None
        active = ActiveRequest(request, group, stream, self.specs.of(request), reading, live=live)
        self._expect(group)
        self.under_way.add(active)
        if request.score_prompt:
            self.unread.add(group, [active])
        else:
            self.under_way.enter(active)

    def score(self, group: RequestGroup, jobs: Iterable[ScoreJob]) -> None:
        """Queue texts to be read."""
        self._expect(group)
        self.unread.add(group, jobs)

    def cancel(self, stream: Stream) -> None:
        """Forget the request, if it is still running, and free its rows."""
        active = self.under_way.of(stream)
        if active is not None:
            self.counters.cancelled += 1
            self.under_way.end(active)

    def fail_all(self, error: Exception) -> None:
        """End everything with `error`, whatever state it is in."""
        self.under_way.fail_all(error)
        for group in self.unread.groups():
            self.under_way.fail_group(group, error)
        self.under_way.flush()

    def _expect(self, group: RequestGroup) -> None:
        if group.over and not group.background and (self.live.groups or self.unread.clients):
            self._turns.newcomer(perf_counter())
        self.under_way.expect(group)

    def tick(self) -> None:
        """One round of the loop; afterwards everything it brought about is delivered."""
        began = perf_counter()
        self.slots.tick += 1
        # 1. End what is late.
        self.under_way.end_late(monotonic())
        # 2. Say whose turn it is.
        has_live = bool(self.unread.clients or self.live.groups)
        turn = self._turns.next(has_live, bool(self.background.groups), began)
        lane = self.background if turn.background else self.live
        # 3. Share the slots out, and begin what has room.
        self.slots.count()
        self.slots.keep_less()
        taken = self.slots.held(background=False) if turn.background else 0
        if lane.share_out(max(1, self._limits.max_rows - taken)):
            self._admit(lane)
        # 4. to 6. Have sequences go on.
        self._go_on(lane, turn)
        # 7. Deliver what came of it.
        self.under_way.flush()
        self._turns.taken(turn, perf_counter() - began)

    # 3. Beginning

    def _admit(self, lane: Lane) -> None:
        """Start choices, in turn, as long as there is room for them."""
        for group in lane.beginners():
            active = group.waiting[0]
            group.begin(monotonic())
            self._start(lane, active)
            if not active.over and active.started == active.request.n:
                group.waiting.popleft()

    def _start(self, lane: Lane, active: ActiveRequest) -> None:
        index, standing, group = active.started, lane.next_standing(active.salt), active.group
        active.started += 1
        group.unstarted -= 1
        group.may_begin -= 1
        ledger = Ledger(live=active.live)
        sequence = Sequence(active.spec, ledger, (index,))
        slot = None if sequence.finished else self.slots.assign(sequence, standing)
        if index == 0:
            self.counters.prompt_tokens += len(active.request.prompt_ids)
        task = Task(active.request.strategy.decode(sequence))
        choice = Choice(active, index, ledger, task, TextStream(active.request.stopping.stop), standing)
        if slot is not None:
            self._note_cached(choice, min(slot.valid, len(active.request.prompt_ids) - 1))
        active.choices.append(choice)
        group.choices.append(choice)
        waiting = run(task)
        lane.pending.extend(Pending(choice, each) for each in waiting)
        group.make_room(choice, len(waiting))
        self.under_way.settle(choice)

    def _note_cached(self, choice: Choice, tokens: int) -> None:
        """Count what of a request's prompt need not be computed for it, as long as it has written nothing:
        at most all but its last token, however often its branches take that over, or lose it again."""
        if choice.index == 0 and choice.ledger.spent == 0:
            owner = choice.owner
            tokens = min(tokens, len(owner.request.prompt_ids) - 1 - owner.cached_tokens)
            owner.cached_tokens += tokens
            self.counters.cached_prompt_tokens += tokens

    def _go_on(self, lane: Lane, turn: Turn) -> None:
        """One forward pass and what follows from it, unless it is the turn of a text that is only read.

        Nothing of it is held when the tick delivers: branches that nobody refers to are told as dropped.
        """
        # 4. Choose the sequences; who has to wait for the next pass stays in the lane.
        beginning = [*map(SPENT, lane.pending)].count(0)  # no call a row: this is done for every token
        portion = self._pace.portion(turn, beginning, len(lane.pending))
        pending = lane.pending if turn.background else self._live_work(turn, beginning, portion.whole)
        if pending is None:
            return
        rows, later = self._forward.select(pending, turn, portion)
        # Others are held up by who has a pass of its own, and by the background where there is live work.
        holds_up = pending is not lane.pending or (turn.background and turn.contended)
        if pending is not lane.pending:
            chosen = set(pending)
            later = [each for each in lane.pending if each not in chosen] + later
        lane.pending = later
        # 5. Run the model over them.
        passes = self._ahead.passes(rows, hurried=bool(self.unread.clients))
        if passes:
            self._write_ahead(lane, rows, 1 if holds_up else passes)
            return
        outcome = self._forward.run(rows)
        self.counters.count(outcome.passes, len(outcome.rows), outcome.computed, outcome.prefill_tokens)
        if outcome.prefill_tokens:
            self._pace.taken(outcome.prefill_tokens, outcome.prefill_seconds)
        if outcome.step_rows:
            self._ahead.taken(outcome.step_rows, outcome.step_seconds)
        for row in outcome.rows:
            # What one branch of a request computes for its others comes from no other text.
            if row.leader is not None and row.leader.pending.choice.owner is not row.pending.choice.owner:
                self._note_cached(row.pending.choice, row.end - 1 - row.start)
        for row in rows:
            if row.taken_over:
                self._note_cached(row.pending.choice, row.taken_over)
        for row, error in outcome.failed:
            self.under_way.fail(row.pending.choice.owner, model_failure(error))
        # 6. Draw what their strategies wait for, and have these go on.
        if outcome.found is not None:
            self._strategies.resume(lane, outcome.rows, self._draw(outcome.found, outcome.rows))

    def _write_ahead(self, lane: Lane, rows: Items[Row], passes: int) -> None:
        """Steps 5 and 6 for rows whose strategies decide nothing in between."""
        try:
            replies, batches = self._ahead.write(rows, passes)
        except Exception as error:
            for row in rows:
                self.under_way.fail(row.pending.choice.owner, model_failure(error))
            return
        for size in batches:
            self.counters.count(1, size, size, 0)
        self._strategies.resume(lane, rows, replies)

    # 4. Choosing

    def _live_work(self, turn: Turn, beginning: int, whole: int) -> list[Pending] | None:
        """Who goes on in a live turn: those without a token whose prompt one pass can read, or all; None
        where a text was read instead."""
        pending = self.live.pending
        fresh = [each for each in pending if self._forward.can_begin(each, whole)] if beginning else []
        match self._order.next(len(fresh), len(pending), reading=bool(self.unread.clients)):
            case "fresh":
                return fresh
            case "all":
                return pending
            case "read":
                self._read(turn)
                return None

    def _read(self, turn: Turn) -> None:
        """Read a piece of a text that is still wanted."""
        taken = self.unread.take()
        if taken is None:
            return
        group, job = taken
        group.begin(monotonic())
        try:
            self._scorer.read_on(job.given, turn)
        except Exception as error:
            self.unread.drop(group)
            if isinstance(job, ActiveRequest):
                self.under_way.fail(job, model_failure(error))
            else:
                fail(job.result, model_failure(error))
            return
        if job.given.is_read:
            self.unread.drop(group)
            if isinstance(job, ActiveRequest):
                self.under_way.say(job, [PromptScored(tuple(job.given.tokens))])
                self.under_way.enter(job)
            else:
                job.end()

    # 6. Drawing

    def _draw(self, found: StepOutput, rows: Items[Row]) -> Items[Answer]:
        """What every row is answered. If that fails, their requests do, and nobody is answered."""
        requests: list[TokenCommand] = []
        readings: list[Reading] = []
        for row in rows:
            requests.append(row.request)
            readings.append(row.pending.choice.owner.reading)
        try:
            return self._drawing.reply(found, requests, readings)
        except Exception as error:
            logger.exception("Drawing a batch failed.")
            for row in rows:
                self.under_way.fail(row.pending.choice.owner, model_failure(error))
            return ()
