"""Requests from their submission to their end: what they tell their streams, and what they leave behind."""

import heapq
import logging
import weakref
from collections.abc import Iterator
from collections.abc import Sequence as Items
from itertools import count
from math import inf

from app.decoding.core.sequence import Sequence
from app.engine.failures import strategy_failure
from app.engine.lanes import Lane
from app.engine.requests import ActiveRequest, Choice, RequestGroup
from app.engine.scoring import ScoreJob, fail
from app.engine.slots import SlotTable
from app.engine.stream import Stream, Waiter, wake
from app.engine.types import Counters, Failed, RequestDone, StreamItem
from app.errors import DeadlineError, ModelFailureError, StrategyError

logger = logging.getLogger(__name__)


class UnderWay:
    """All requests that have not ended, each in its lane."""

    def __init__(self, slots: SlotTable, counters: Counters, max_queue_seconds: float) -> None:
        self.live = Lane(background=False)
        self.background = Lane(background=True)
        self._slots = slots
        self._counters = counters
        self._max_queue_seconds = max_queue_seconds
        self._deadlines = Deadlines()
        self._active: dict[Stream, ActiveRequest] = {}
        self._speaking: dict[ActiveRequest, None] = {}

    def __len__(self) -> int:
        return len(self._active)

    def of(self, stream: Stream) -> ActiveRequest | None:
        """The request of a stream, unless it has ended."""
        return self._active.get(stream)

    def groups(self) -> list[RequestGroup]:
        """Those of all requests."""
        return list({active.group: None for active in self._active.values()})

    def add(self, active: ActiveRequest) -> None:
        """A request that was submitted; it waits until it is `enter`ed."""
        self._active[active.stream] = active
        active.group.members[active] = None

    def enter(self, active: ActiveRequest) -> None:
        """Its choices may begin from now on."""
        self._lane(active).add(active)

    def expect(self, group: RequestGroup) -> None:
        """Watch the deadlines of a group, if it is new."""
        if group.over and not group.background:
            if group.timeout is not None:
                self._deadlines.add(group.arrived + group.timeout, group, to_begin=False)
            if group.queue is not None:
                self._deadlines.add(group.arrived + self._max_queue_seconds, group, to_begin=True)

    def end_late(self, now: float) -> None:
        """End what has waited or run for too long."""
        if now < self._deadlines.earliest:
            return
        for group, waited in self._deadlines.missed(now):
            if waited and group.queue is not None:
                self.fail_group(group, group.queue.too_late(now, self._max_queue_seconds))
            else:
                self._counters.timed_out += 1
                error = DeadlineError(f"The request was not done after {group.timeout:g} s.")
                self.fail_group(group, error)

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

    def settle(self, choice: Choice) -> None:
        """Tell what the choice has committed; if its strategy is done, end it."""
        active = choice.owner
        if not choice.task.done:
            items = choice.committed()
            if items or active.live is not None:
                self.say(active, items)
            return
        error = choice.task.error
        if error is None:
            try:
                items, result = choice.finished()
            except StrategyError as wrong:
                error = wrong
            else:
                self.say(active, items)
                self._close(choice, result)
                return
        self.fail(active, strategy_failure(active.request.strategy, error))

    def _close(self, choice: Choice, result: Sequence) -> None:
        active = choice.owner
        discarded = choice.ledger.spent - result.position
        active.completion_tokens += result.position
        active.discarded_tokens += discarded
        self._counters.discarded_tokens += discarded
        self._slots.release(choice.standing)
        active.choices.remove(choice)
        self._lane(active).close(choice)
        active.ended += 1
        if active.ended == active.request.n:
            self._counters.finished += 1
            self.say(active, [RequestDone(active.usage)])
            self.end(active)

    def fail(self, active: ActiveRequest, error: Exception) -> None:
        """End the request with an error."""
        if not active.over:
            self._counters.failed += 1
            self.say(active, [Failed(error)])
            # What a broken pass wrote would break later requests that begin the same way.
            self.end(active, keep=not isinstance(error, ModelFailureError))

    def end(self, active: ActiveRequest, *, keep: bool = True) -> None:
        """Stop whatever of the request still runs, and free its rows. keep: their texts may serve others."""
        active.over = True
        active.stream.drawn_tokens = active.drawn_tokens
        for choice in active.choices:
            choice.task.close()
            self._slots.release(choice.standing, keep=keep)
        active.group.members.pop(active, None)
        self._lane(active).remove(active)
        active.choices.clear()
        self._active.pop(active.stream, None)

    def fail_all(self, error: Exception) -> None:
        """End every request, whatever state it is in."""
        for active in list(self._active.values()):
            try:
                self.fail(active, error)
            except Exception:
                logger.exception("A request could not be ended in an orderly way.")
        self._active.clear()
        for lane in (self.live, self.background):
            lane.groups.clear()
            lane.pending.clear()
        self._slots.release_all()

    def fail_group(self, group: RequestGroup, error: Exception) -> None:
        """End all that is left of a group."""
        for active in list(group.members):
            self.fail(active, error)
        for job in group.unread:
            if isinstance(job, ScoreJob):
                fail(job.result, error)
        group.unread.clear()
        group.give_up()

    def say(self, active: ActiveRequest, items: Items[StreamItem]) -> None:
        """Have these items delivered with the next `flush`."""
        active.items.extend(items)
        self._speaking[active] = None

    def _lane(self, active: ActiveRequest) -> Lane:
        return self.background if active.request.background else self.live


class Deadlines:
    """When groups have to have begun, and when they have to have ended. Forgets groups that are gone.

    Times are those of `time.monotonic`. earliest: nothing is missed before.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, bool, weakref.ref[RequestGroup]]] = []
        self._numbers = count()
        self.earliest = inf

    def add(self, when: float, group: RequestGroup, *, to_begin: bool) -> None:
        """The group has to have begun, or ended, by then."""
        heapq.heappush(self._heap, (when, next(self._numbers), to_begin, weakref.ref(group)))
        self.earliest = self._heap[0][0]

    def missed(self, now: float) -> Iterator[tuple[RequestGroup, bool]]:
        """Groups that are late, and whether they have not even begun."""
        while self._heap and self._heap[0][0] <= now:
            _, _, to_begin, reference = heapq.heappop(self._heap)
            self.earliest = self._heap[0][0] if self._heap else inf
            group = reference()
            if group is None or group.over:
                continue
            if not (to_begin and group.begun):
                yield group, to_begin
