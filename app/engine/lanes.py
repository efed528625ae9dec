"""Live requests and those in the background, each in a lane of their own."""

from collections import deque
from dataclasses import dataclass, field

from app.engine.choice import ActiveRequest
from app.engine.forward import Pending
from app.engine.slots import Rank, SlotTable


@dataclass(eq=False)
class Lane:
    """begun: number of choices. waiting: requests with choices that have not begun. pending: what those under
    way wait for."""

    background: bool
    begun: int = 0
    waiting: deque[ActiveRequest] = field(default_factory=deque[ActiveRequest])
    pending: list[Pending] = field(default_factory=list[Pending])

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not (self.pending or self.waiting)

    @property
    def next_rank(self) -> Rank:
        """Rank of the choice that begins next."""
        return (self.background, self.begun)

    def has_room(self, slots: SlotTable) -> bool:
        """Whether a choice may begin: there is a slot that no branch of those under way needs, or there are
        none under way."""
        if not self.pending:
            return True
        requests = (each.task.request for each in self.pending)
        placeless = sum(each is not None and slots.of(each.sequence) is None for each in requests)
        return slots.open(self.next_rank) > placeless
