"""The event loop of decoding, single-threaded: admit, one batched forward pass, draw, resume."""

import logging
from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence as Items
from time import perf_counter

import torch

from app.decoding.calibration import Calibration
from app.decoding.context import Ledger
from app.decoding.live import LiveLog
from app.decoding.sequence import Sequence
from app.decoding.span import SequenceSpec
from app.decoding.types import Token
from app.engine.choice import ActiveRequest, Choice
from app.engine.counters import Counters
from app.engine.failures import broken_logits, model_failure, strategy_failure
from app.engine.forward import Forward, Pending, Row
from app.engine.lanes import Lane
from app.engine.readout import reading_of
from app.engine.replies import Replier
from app.engine.scoring import ScoreJob, Scorer
from app.engine.slots import SlotTable
from app.engine.stream import Stream, Waiter, wake
from app.engine.tasks import Task, run
from app.engine.text import TextStream, vocabulary_of
from app.engine.turns import Turn, Turns
from app.engine.types import (
    EngineLimits,
    Failed,
    GenerationRequest,
    PromptScored,
    RequestDone,
    Served,
    StreamItem,
)
from app.errors import StrategyError
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
        self.live = Lane(background=False)
        self.background = Lane(background=True)
        self.scores: deque[ScoreJob] = deque()
        self.active: dict[Stream, ActiveRequest] = {}
        self.reader = ProbeReader(probes)
        self._turns = Turns(limits.max_rows, limits.max_prefill_tokens)
        self._forward = Forward(self.model, cache, self.slots, self.reader.layers)
        self._replier = Replier(self.reader)
        self._scorer = Scorer(self.model, self.counters)
        self._speaking: dict[ActiveRequest, None] = {}

    @property
    def idle(self) -> bool:
        """Nothing to do until something is submitted."""
        return self.live.idle and self.background.idle and not self.scores

    def submit(self, request: GenerationRequest, stream: Stream) -> None:
        """Queue a request that was checked."""
        spec = SequenceSpec(
            prompt_ids=request.prompt_ids,
            sampling=request.sampling,
            stopping=request.stopping,
            context_length=self.context_length,
            end_token_id=self.model.spec.end_token_id,
            vocabulary=self.vocabulary,
            encode=self._encode,
            seed=request.seed,
            calibration=self._calibration,
        )
        names = (*request.signals, *sorted(request.strategy.needs))
        reading = reading_of(names, request.top_logprobs, self.reader)
        active = ActiveRequest(request, stream, spec, reading, live=LiveLog() if request.live else None)
        self.active[stream] = active
        self._lane(active).waiting.append(active)

    def cancel(self, stream: Stream) -> None:
        """Forget the request, if it is still running, and free its rows."""
        active = self.active.get(stream)
        if active is not None:
            self.counters.cancelled += 1
            self._end(active)

    def fail_all(self, error: Exception) -> None:
        """End every request with `error`."""
        for active in list(self.active.values()):
            self._fail(active, error)
        while self.scores:
            self.scores.popleft().result.set_exception(error)
        self.flush()

    def tick(self) -> None:
        """One round of the loop; afterwards everything it brought about is delivered."""
        self.slots.tick += 1
        began = perf_counter()
        has_live = bool(self.scores) or not self.live.idle
        turn = self._turns.next(has_live, not self.background.idle, began)
        if self.scores:
            self._scorer.run(self.scores.popleft())
        lane = self.background if turn.background else self.live
        self._admit(lane)
        if lane.pending:
            self._advance(lane, turn)
        self.flush()
        self._turns.taken(turn, perf_counter() - began)

    def flush(self) -> None:
        """Deliver what there is to tell, and wake whoever waits for it."""
        waiters: list[Waiter] = []
        for active in self._speaking:
            waiter = active.stream.deliver(active.take())
            if waiter is not None:
                waiters.append(waiter)
        self._speaking.clear()
        if waiters:
            wake(waiters)

    def _lane(self, active: ActiveRequest) -> Lane:
        return self.background if active.request.background else self.live

    # Beginning

    def _admit(self, lane: Lane) -> None:
        """Start choices, first come first served, while there is room for them."""
        while lane.waiting and lane.has_room(self.slots):
            active = lane.waiting[0]
            if active.started == 0 and active.request.score_prompt:
                self._score_prompt(active)
            if not active.over:
                self._start(lane, active)
            if not active.over and active.started == active.request.n:
                lane.waiting.popleft()

    def _start(self, lane: Lane, active: ActiveRequest) -> None:
        index, rank = active.started, lane.next_rank
        active.started += 1
        lane.begun += 1
        ledger = Ledger(live=active.live)
        sequence = Sequence(active.spec, ledger, (index,))
        slot = None if sequence.finished else self.slots.assign(sequence, rank)
        if index == 0:
            self.counters.prompt_tokens += len(active.request.prompt_ids)
        task = Task(active.request.strategy.decode(sequence))
        choice = Choice(active, index, ledger, task, TextStream(active.request.stopping.stop), rank)
        if slot is not None:
            self._note_cached(choice, min(slot.valid, len(active.request.prompt_ids) - 1))
        active.choices.append(choice)
        lane.pending.extend(Pending(choice, waiting) for waiting in run(task))
        self._settle(choice)

    def _note_cached(self, choice: Choice, tokens: int) -> None:
        """Count what of a request's prompt need not be computed for it, as long as it has written nothing."""
        if choice.index == 0 and choice.ledger.spent == 0:
            choice.owner.cached_tokens += tokens
            self.counters.cached_prompt_tokens += tokens

    def _score_prompt(self, active: ActiveRequest) -> None:
        try:
            tokens = self._scorer.read(active.request.prompt_ids, active.reading)
        except Exception as error:
            self._fail(active, model_failure(error))
        else:
            self._say(active, [PromptScored(tuple(tokens))])

    # Drawing

    def _advance(self, lane: Lane, turn: Turn) -> None:
        """One forward pass over a lane's sequences."""
        rows, lane.pending = self._forward.select(lane.pending, turn)
        outcome = self._forward.run(rows)
        self.counters.count(outcome)
        for row in outcome.rows:
            if row.leader is not None:
                self._note_cached(row.pending.choice, row.end - 1 - row.start)
        for row, error in outcome.failed:
            self._fail(row.pending.choice.owner, model_failure(error))
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
                self._fail(row.pending.choice.owner, model_failure(error))
            return
        for row, reply in zip(rows, replies, strict=True):
            pending = row.pending
            if pending.task.request is not row.request:  # stopped by a branch resumed before it
                continue
            sequence = row.request.sequence
            sequence.pending = False
            if isinstance(reply, Exception):
                resumed = run(pending.task, error=reply)
            elif broken := broken_logits((reply,) if isinstance(reply, Token) else reply):
                self._fail(pending.choice.owner, broken)
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
            self._settle(pending.choice)

    def _settle(self, choice: Choice) -> None:
        """Tell what the choice has committed; if its strategy is done, end it."""
        active = choice.owner
        if not choice.task.done:
            items = choice.committed()
            if items or active.live is not None:
                self._say(active, items)
            return
        error = choice.task.error
        if error is None:
            try:
                items, result = choice.finished()
            except StrategyError as wrong:
                error = wrong
            else:
                self._say(active, items)
                self._close(choice, result)
                return
        self._fail(active, strategy_failure(active.request.strategy, error))

    # Ending

    def _close(self, choice: Choice, result: Sequence) -> None:
        active = choice.owner
        discarded = choice.ledger.spent - result.position
        active.completion_tokens += result.position
        active.discarded_tokens += discarded
        self.counters.discarded_tokens += discarded
        self.slots.release(choice.ledger)
        active.choices.remove(choice)
        active.ended += 1
        if active.ended == active.request.n:
            self.counters.finished += 1
            self._say(active, [RequestDone(active.usage)])
            self._end(active)

    def _fail(self, active: ActiveRequest, error: Exception) -> None:
        if not active.over:
            self.counters.failed += 1
            self._say(active, [Failed(error)])
            self._end(active)

    def _end(self, active: ActiveRequest) -> None:
        """Stop whatever of the request still runs, and free its rows."""
        active.over = True
        for choice in active.choices:
            choice.task.close()
            self.slots.release(choice.ledger)
        active.choices.clear()
        del self.active[active.stream]
        if active in self._lane(active).waiting:  # not all of its choices had begun
            self._lane(active).waiting.remove(active)

    def _say(self, active: ActiveRequest, items: Items[StreamItem]) -> None:
        active.items.extend(items)
        self._speaking[active] = None
