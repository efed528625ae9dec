"""The event loop of decoding, single-threaded: admit, one batched forward pass, draw, resume."""

import logging
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Items
from dataclasses import replace
from time import monotonic, perf_counter

import torch

from app.decoding.calibration.calibration import Calibration
from app.decoding.core.live import LiveLog
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import Token
from app.engine.choice import ActiveRequest, Choice
from app.engine.counters import Counters
from app.engine.deadlines import Deadlines
from app.engine.failures import broken_logits, model_failure
from app.engine.forward import Forward, Pending, Row
from app.engine.groups import Group
from app.engine.lanes import Lane
from app.engine.readout import reading_of
from app.engine.replies import Replier
from app.engine.scoring import ScoreJob, Scorer
from app.engine.slots import SlotTable
from app.engine.stream import Stream
from app.engine.tasks import Task, run
from app.engine.text import TextStream, vocabulary_of
from app.engine.turns import LiveOrder, PrefillPace, Turn, Turns
from app.engine.types import EngineLimits, GenerationRequest, PromptScored, Served
from app.engine.under_way import UnderWay
from app.engine.unread import Unread
from app.errors import DeadlineError
from probes.probe import Probe
from probes.reader import ProbeReader

logger = logging.getLogger(__name__)


class DecodingLoop:
    """Decodes all requests together. Not thread-safe: `Engine` owns the thread that it runs in."""

    def __init__(
        self,
        served: Served,
        limits: EngineLimits,
        probes: Items[Probe] = (),
        calibration: Calibration | None = None,
    ) -> None:
        self.model = served.model
        spec = self.model.spec
        self.context_length = min(spec.context_length, limits.max_context or spec.context_length)
        self.vocabulary = vocabulary_of(served)
        self._encode = served.tokenizer.encode
        self._calibration = calibration
        cache = self.model.new_cache(limits.max_rows, self.context_length)
        self.slots = SlotTable(cache)
        self.counters = Counters()
        self.under_way = UnderWay(self.slots, self.counters)
        self.live, self.background = self.under_way.live, self.under_way.background
        self.unread = Unread()
        self.reader = ProbeReader(probes)
        self._limits = limits
        self._deadlines = Deadlines()
        self._turns = Turns(limits.max_rows, limits.max_prefill_tokens)
        self._order = LiveOrder()
        self._pace = PrefillPace(limits.max_prefill_tokens)
        self._forward = Forward(self.model, cache, self.slots, self.reader.layers)
        self._replier = Replier(self.reader)
        self._scorer = Scorer(self.model, self.counters)
        self._background_group = Group(background=True)

    @property
    def idle(self) -> bool:
        """Nothing to do until something is submitted."""
        return self.live.idle and self.background.idle and not self.unread

    def submit(self, request: GenerationRequest, stream: Stream, group: Group | None = None) -> None:
        """Queue a request that was checked. group: new, or of other requests submitted in the same tick."""
        spec = SequenceSpec(
            prompt_ids=request.prompt_ids,
            sampling=request.sampling,
            stopping=request.stopping,
            context_length=self.context_length,
            end_token_ids=self.model.spec.end_token_ids,
            vocabulary=self.vocabulary,
            encode=self._encode,
            seed=request.seed,
            calibration=self._calibration,
        )
        names = (*request.signals, *sorted(request.strategy.needs))
        reading = reading_of(names, request.top_logprobs, self.reader)
        group = self._background_group if request.background else group or Group()
        active = ActiveRequest(
            request, group, stream, spec, reading, live=LiveLog() if request.live else None
        )
        self._expect(group)
        self.under_way.add(active)
        if request.score_prompt:
            self._read_later(group, [active])
        else:
            self.under_way.enter(active)

    def score(self, group: Group, jobs: Iterable[ScoreJob]) -> None:
        """Queue texts to be read."""
        self._expect(group)
        self._read_later(group, jobs)

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

    def tick(self) -> None:
        """One round of the loop; afterwards everything it brought about is delivered."""
        self.slots.tick += 1
        began = perf_counter()
        self._end_late(monotonic())
        has_live = bool(self.unread) or not self.live.idle
        turn = self._turns.next(has_live, not self.background.idle, began)
        lane = self.background if turn.background else self.live
        self.slots.count()
        taken = self.slots.held(background=False) if turn.background else 0
        lane.share_out(max(1, self._limits.max_rows - taken))
        self._admit(lane)
        if turn.background:
            self._advance(lane, lane.pending, turn)
        else:
            self._serve(replace(turn, prefill_tokens=self._pace.tokens))
        self.under_way.flush()
        self._turns.taken(turn, perf_counter() - began)

    # Waiting

    def _expect(self, group: Group) -> None:
        """Watch a new group's deadlines."""
        if group.over and not group.background:
            if group.timeout is not None:
                self._deadlines.add(group.arrived + group.timeout, group, to_begin=False)
            if group.queue is not None:
                self._deadlines.add(group.arrived + self._limits.max_queue_seconds, group, to_begin=True)

    def _end_late(self, now: float) -> None:
        """End what has waited or run for too long."""
        for group, waited in self._deadlines.missed(now):
            if waited and group.queue is not None:
                self.under_way.fail_group(group, group.queue.too_late(now, self._limits.max_queue_seconds))
            else:
                self.counters.timed_out += 1
                self.under_way.fail_group(
                    group, DeadlineError(f"The request was not done after {group.timeout:g} s.")
                )

    def _read_later(self, group: Group, jobs: Iterable[ScoreJob | ActiveRequest]) -> None:
        if not group.unread:
            self.unread.add(group)
        group.unread.extend(jobs)

    # Beginning

    def _admit(self, lane: Lane) -> None:
        """Start choices, in turn, as long as there is room for them."""
        for group in lane.beginners():
            active = group.waiting[0]
            group.begin(monotonic())
            self._start(lane, active)
            if not active.over and active.started == active.request.n:
                group.waiting.popleft()

    def _start(self, lane: Lane, active: ActiveRequest) -> None:
        index, standing, group = active.started, lane.next_standing(), active.group
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
        """Count what of a request's prompt need not be computed for it, as long as it has written nothing."""
        if choice.index == 0 and choice.ledger.spent == 0:
            choice.owner.cached_tokens += tokens
            self.counters.cached_prompt_tokens += tokens

    # Taking turns

    def _serve(self, turn: Turn) -> None:
        """A live turn, for one of three: those who have no token yet, a text to be read, or all."""
        pending = self.live.pending
        fresh = [each for each in pending if each.choice.owner.group.fresh and each.choice.standing.entitled]
        match self._order.next(len(fresh), len(pending), reading=bool(self.unread)):
            case "fresh":
                self._advance(self.live, fresh, turn)
            case "read":
                self._read()
            case "all":
                self._advance(self.live, pending, turn)

    def _read(self) -> None:
        """Read the next text that is still wanted."""
        while (taken := self.unread.take()) is not None:
            group, job = taken
            if isinstance(job, ActiveRequest):
                if not job.over:
                    group.begin(monotonic())
                    self._score_prompt(job)
                    return
            elif not job.result.cancelled():
                group.begin(monotonic())
                self._scorer.run(job)
                return
            else:
                group.give_up()

    def _score_prompt(self, active: ActiveRequest) -> None:
        try:
            tokens = self._scorer.read(active.request.prompt_ids, active.reading)
        except Exception as error:
            self.under_way.fail(active, model_failure(error))
        else:
            self.under_way.say(active, [PromptScored(tuple(tokens))])
            self.under_way.enter(active)

    # Drawing

    def _advance(self, lane: Lane, pending: list[Pending], turn: Turn) -> None:
        """One forward pass over some of a lane's sequences."""
        chosen = set(pending)
        rows, later = self._forward.select(pending, turn)
        lane.pending = [each for each in lane.pending if each not in chosen] + later
        outcome = self._forward.run(rows)
        self.counters.count(outcome)
        self._pace.taken(outcome.prefill_tokens, outcome.prefill_seconds)
        for row in outcome.rows:
            if row.leader is not None:
                self._note_cached(row.pending.choice, row.end - 1 - row.start)
        for row, error in outcome.failed:
            self.under_way.fail(row.pending.choice.owner, model_failure(error))
        if outcome.logits is not None:
            self._resume(lane, outcome.rows, outcome.logits, outcome.hidden)

    def _resume(
        self, lane: Lane, rows: Items[Row], logits: torch.Tensor, hidden: Mapping[int, torch.Tensor]
    ) -> None:
        """Draw every row's token and let the strategies go on from it."""
        requests = [row.request for row in rows]
        readings = [row.pending.choice.owner.reading for row in rows]
        try:
            replies = self._replier.reply(logits, hidden, requests, readings)
        except Exception as error:
            logger.exception("Drawing a batch failed.")
            for row in rows:
                self.under_way.fail(row.pending.choice.owner, model_failure(error))
            return
        for row, reply in zip(rows, replies, strict=True):
            pending = row.pending
            if pending.task.request is not row.request:  # stopped by a branch resumed before it
                continue
            pending.choice.owner.group.fresh = False
            sequence = row.request.sequence
            sequence.pending = False
            if isinstance(reply, Exception):
                resumed = run(pending.task, error=reply)
            elif broken := broken_logits((reply,) if isinstance(reply, Token) else reply):
                self.under_way.fail(pending.choice.owner, broken)
                continue
            else:
                self.counters.drawn_tokens += 1
                if isinstance(reply, Token):
                    sequence.accept(reply)
                else:
                    sequence.ledger.spent += 1
                resumed = run(pending.task, reply)
            for task in resumed:
                lane.pending.append(pending if task is pending.task else Pending(pending.choice, task))
            self.under_way.settle(pending.choice)
