"""Live requests and those in the background, each in a lane of their own."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.engine.choice import ActiveRequest, Choice
from app.engine.forward import Pending
from app.engine.groups import Group
from app.engine.shares import shares
from app.engine.slots import Standing


@dataclass(eq=False)
class Lane:
    """begun: number of choices. groups: those with choices under way or waiting, in order of arrival.
    pending: what the choices under way wait for."""

    background: bool
    begun: int = 0
    groups: dict[Group, None] = field(default_factory=dict[Group, None])
    pending: list[Pending] = field(default_factory=list[Pending])

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not self.groups

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

    def next_standing(self) -> Standing:
        """That of a choice that begins now."""
        self.begun += 1
        return Standing(self.background, self.begun)

    def share_out(self, slots: int) -> None:
        """Say how many of `slots` slots every choice is entitled to, and how many may begin.

        Clients have equal parts, groups equal parts of their client's; what a part is too small for goes to
        the choices that began first.
        """
        self._count_pending()
        clients: dict[str, list[Group]] = {}
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

    def beginners(self) -> Iterator[Group]:
        """Groups that may begin a choice now, in turn, until no more may."""
        while True:
            ready = [group for group in self.groups if group.waiting and group.may_begin > 0]
            if not ready:
                return
            yield from (group for group in ready if group.waiting and group.may_begin > 0)

    def _count_pending(self) -> None:
        for group in self.groups:
            for choice in group.choices:
                choice.asking = 0
        for each in self.pending:
            each.choice.asking += each.task.request is not None
