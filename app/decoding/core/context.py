"""What a sequence leaves behind: the ids that the cache follows, and what its choice adds up to."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.decoding.core.live import Branch, LiveLog, Noted, RolledBack
from app.decoding.core.types import Event

if TYPE_CHECKING:
    from app.decoding.core.sequence import Sequence


@dataclass
class Ledger:
    """What all sequences of one choice add up to.

    spent: tokens that were computed so far, in whatever branch: one for each that was drawn or forced, and
        one for each look at candidates, however many of them are taken.
    output, committed: the sequence that spoke last for the choice, and how many of its tokens
        are final and may be sent.
    live: where everything that happens is told; None if nobody watches.
    """

    events: list[Event] = field(default_factory=list[Event])
    spent: int = 0
    output: "Sequence | None" = None
    committed: int = 0
    live: LiveLog | None = None

    def note(self, branch: Branch, event: Event, *, cut: bool = False) -> None:
        """Add an entry to the decision trace. cut: the branch was cut back to the entry's position."""
        self.events.append(event)
        if self.live is not None:
            self.live.add(RolledBack(branch, event) if cut else Noted(branch, event))


class Context:
    """Token ids of prompt and completion, as the engine's cache sees them.

    unchanged: how many leading ids are still the ones that the cache last wrote.
    slot: the engine's note of where in its cache they are; None when nowhere.
    """

    __slots__ = ("ids", "slot", "unchanged")

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.unchanged = 0
        self.slot: int | None = None

    def truncate(self, length: int) -> None:
        """Drop all ids from `length` on."""
        del self.ids[length:]
        self.unchanged = min(self.unchanged, length)
