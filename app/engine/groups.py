"""The requests of one HTTP request: they are taken together, share a turn, and have one deadline."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.engine.choice import ActiveRequest, Choice
    from app.engine.queue import Queue
    from app.engine.scoring import ScoreJob


@dataclass(eq=False)
class Group:
    """What the engine knows of one HTTP request, or of one request in the background.

    client: whose it is; clients have equal parts of the slots, and so have the groups of a client.
    queue: the one that it waits in until it has begun; None in the background, where nobody waits in line.
    timeout: seconds from its arrival until it is ended with an error; None = never.
    members: requests that have not ended. unread: texts that are yet to be read, echoed prompts among them.
    waiting: requests with choices that have not begun, and unstarted: the number of these choices.
    choices: those under way, in order of beginning. may_begin: how many more may begin now.
    fresh: none of its choices has a token yet.
    """

    client: str = ""
    background: bool = False
    queue: "Queue | None" = None
    timeout: float | None = None
    arrived: float = 0.0
    members: "dict[ActiveRequest, None]" = field(default_factory=dict["ActiveRequest", None])
    unread: "deque[ScoreJob | ActiveRequest]" = field(default_factory=deque["ScoreJob | ActiveRequest"])
    waiting: "deque[ActiveRequest]" = field(default_factory=deque["ActiveRequest"])
    unstarted: int = 0
    choices: "list[Choice]" = field(default_factory=list["Choice"])
    may_begin: int = 0
    fresh: bool = True
    begun: bool = False

    @property
    def demand(self) -> int:
        """Slots that it could use now."""
        return self.unstarted + sum(choice.demand for choice in self.choices)

    def begin(self, now: float) -> None:
        """Note that it waits no longer."""
        if not self.begun:
            self.begun = True
            if self.queue is not None:
                self.queue.leave(now)

    def give_up(self) -> None:
        """Note that it will never begin."""
        if not self.begun:
            self.begun = True
            if self.queue is not None:
                self.queue.leave()

    def make_room(self, choice: "Choice", asking: int) -> None:
        """Entitle a choice that has just begun to slots for so many branches, if the group has them."""
        choice.asking = asking
        more = max(0, min(asking - 1, self.may_begin))
        choice.standing.entitled += more
        self.may_begin -= more

    @property
    def over(self) -> bool:
        """Nothing of it is left."""
        return not (self.members or self.unread)

    def entitle(self, share: int, slots: int) -> "list[Choice]":
        """Entitle its choices to a share of the slots, those that began first before the others.

        A choice gets all that its branches can use or nothing, since branches that wait for each other
        would be computed anew at every token; unless it could never have enough. Returns those for which
        there was no room.
        """
        left, unfit = share, list["Choice"]()
        for choice in self.choices:
            demand = choice.demand
            if demand > left and demand <= slots:
                unfit.append(choice)
                choice.standing.entitled = 0
                continue
            choice.standing.entitled = min(demand, left)
            left -= choice.standing.entitled
        self.may_begin = 0 if unfit else min(left, self.unstarted)
        return unfit
