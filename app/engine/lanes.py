"""Live requests and those in the background, each in a lane of their own."""

from collections import deque
from dataclasses import dataclass, field

from app.engine.choice import ActiveRequest
from app.engine.forward import Pending


@dataclass(eq=False)
class Lane:
    """waiting: requests with choices that have not begun. pending: what those under way wait for."""

    background: bool
    waiting: deque[ActiveRequest] = field(default_factory=deque[ActiveRequest])
    pending: list[Pending] = field(default_factory=list[Pending])

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not (self.pending or self.waiting)
