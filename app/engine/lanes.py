"""Who may use the engine next: lanes of live requests and of background ones, and texts to be read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from app.engine.requests import ActiveRequest, Choice, RequestGroup
from app.engine.rows import Pending
from app.engine.scoring import ScoreJob
from app.engine.slot import Salt, Standing

SPENT: Callable[[Pending], int] = attrgetter("choice.ledger.spent")
"""Of a pending sequence: the tokens that its choice has computed; 0 before its first."""

MOST_BEGUN = 4
"""Texts that are being read at a time: each has keys and values of its own."""


@dataclass(eq=False)
class Lane:
    """begun: number of choices. groups: those with choices under way or waiting, in order of arrival.
    pending: what the choices under way wait for."""

    background: bool
    begun: int = 0
    groups: dict[RequestGroup, None] = field(default_factory=dict[RequestGroup, None])
    pending: list[Pending] = field(default_factory=list[Pending])

    def add(self, active: ActiveRequest) -> None:
        """A request whose choices may begin from now on."""
        group = active.group
        group.waiting.append(active)
        group.unstarted += active.request.n
        self.groups[group] = None

    def close(self, choice: Choice) -> None:
        """A choice that has ended. Where there are more groups than slots, its group lets others go first."""
        group = choice.owner.group
        group.choices.remove(choice)
        if not group.choices and group in self.groups:
            del self.groups[group]
            self.groups[group] = None

    def remove(self, active: ActiveRequest) -> None:
        """A request that is over, whatever of it was under way."""
        group = active.group
        for choice in active.choices:
            group.choices.remove(choice)
        if active in group.waiting:
            group.waiting.remove(active)
            group.unstarted -= active.request.n - active.started
        if not (group.waiting or group.choices):
            self.groups.pop(group, None)
        if group.over:
            group.give_up()

    def next_standing(self, salt: Salt) -> Standing:
        """That of a choice that begins now."""
        self.begun += 1
        return Standing(self.background, self.begun, salt)

    def share_out(self, slots: int) -> bool:
        """Say how many of `slots` slots every choice is entitled to, and how many may begin; whether any may.

        Clients have equal parts, groups equal parts of their client's; what a part is too small for goes to
        the choices that began first.
        """
        demand = self._count_demand()
        if demand <= slots:
            return self._entitle_all()
        clients: dict[str, list[RequestGroup]] = {}
        for group in self.groups:
            clients.setdefault(group.client, []).append(group)
        demands = {client: [group.demand for group in groups] for client, groups in clients.items()}
        parts = shares(slots, [sum(each) for each in demands.values()])
        left, unfit = slots, list[Choice]()
        for (client, groups), part in zip(clients.items(), parts, strict=True):
            for group, share in zip(groups, shares(part, demands[client]), strict=True):
                unfit += group.entitle(share, slots)
                left -= group.may_begin + sum(choice.standing.entitled for choice in group.choices)
        for choice in sorted(unfit, key=lambda choice: choice.standing.number):
            choice.standing.entitled = min(choice.demand, left)
            left -= choice.standing.entitled
        return any(group.may_begin for group in self.groups)

    def beginners(self) -> Iterator[RequestGroup]:
        """Groups that may begin a choice now, in turn, until no more may."""
        while True:
            ready = [group for group in self.groups if group.waiting and group.may_begin > 0]
            if not ready:
                return
            yield from (group for group in ready if group.waiting and group.may_begin > 0)

    def _count_demand(self) -> int:
        """Slots that all choices could use now, those not begun among them."""
        demand = 0
        for group in self.groups:
            demand += group.unstarted
            for choice in group.choices:
                choice.asking = 0
                demand += choice.standing.resting
        for each in self.pending:
            asks = each.task.request is not None
            each.choice.asking += asks
            demand += asks
        return demand

    def _entitle_all(self) -> bool:
        """`share_out` where there is room for all."""
        beginning = 0
        for group in self.groups:
            beginning += group.unstarted
            group.may_begin = group.unstarted
            for choice in group.choices:
                choice.standing.entitled = choice.asking + choice.standing.resting
        return beginning > 0


class Unread:
    """Texts that are to be read, a piece at a time, in turn over clients and over the groups of a client.

    clients: those that have such texts, in the order of their turns, with their groups.
    """

    def __init__(self) -> None:
        self.clients: dict[str, deque[RequestGroup]] = {}

    def groups(self) -> list[RequestGroup]:
        """All of them."""
        return [group for groups in self.clients.values() for group in groups]

    def add(self, group: RequestGroup, jobs: Iterable[ScoreJob | ActiveRequest]) -> None:
        """Put texts of a group behind those that it has."""
        if not group.unread:
            self.clients.setdefault(group.client, deque()).append(group)
        group.unread.extend(jobs)

    def take(self) -> tuple[RequestGroup, ScoreJob | ActiveRequest] | None:
        """The text of which a piece is to be read now, the first of its group, which has its next turn after
        all others. It stays there until it is dropped; those that nobody waits for any more are."""
        begun = sum(bool(group.unread) and _is_begun(group.unread[0]) for group in self.groups())
        for _ in self.groups():
            client, groups = next(iter(self.clients.items()))
            self.clients[client] = self.clients.pop(client)
            groups.rotate(-1)
            group = groups[-1]
            while group.unread and not group.unread[0].wanted:
                group.unread.popleft()
            if not group.unread:
                self._forget(group)
            elif begun < MOST_BEGUN or _is_begun(group.unread[0]):
                return group, group.unread[0]
        return None

    def drop(self, group: RequestGroup) -> None:
        """The first text of a group has been read, or cannot be."""
        group.unread.popleft()
        if not group.unread:
            self._forget(group)

    def _forget(self, group: RequestGroup) -> None:
        groups = self.clients[group.client]
        groups.remove(group)
        if not groups:
            del self.clients[group.client]
        if group.over:
            group.give_up()


def _is_begun(job: ScoreJob | ActiveRequest) -> bool:
    return job.given.cache is not None


def shares(total: int, demands: Sequence[int]) -> list[int]:
    """What each gets of `total` by max-min fairness ("water filling": Bertsekas and Gallager, Data Networks,
    section 6.5.2), in whole numbers.

    Whoever asks for no more than an equal part has all that it asks for; the others have equal parts of the
    rest, and where these do not come out even the earlier ones have one more.
    """
    given = [0] * len(demands)
    left = total
    order = sorted(range(len(demands)), key=demands.__getitem__)
    for place, index in enumerate(order):
        parts = len(order) - place
        if demands[index] * parts > left:
            part, more = divmod(left, parts)
            for number, other in enumerate(sorted(order[place:])):
                given[other] = part + (number < more)
            break
        given[index] = demands[index]
        left -= demands[index]
    return given
