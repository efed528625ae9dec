"""What a client does with live happenings: it applies them in order and knows every branch at any time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.decoding.core.live import (
    Branch,
    BranchChosen,
    Dropped,
    Forked,
    Happening,
    Noted,
    RolledBack,
    TokenWritten,
)
from app.decoding.core.types import Event, Token


@dataclass
class Replay:
    """The branches of one choice. Everything that could not be applied is an error.

    living: tokens by branch. events: the trace so far. chosen: the branch in the end, and its tokens.
    """

    index: int = 0
    living: dict[Branch, list[Token]] = field(default_factory=dict[Branch, list[Token]])
    dropped: set[Branch] = field(default_factory=set[Branch])
    events: list[Event] = field(default_factory=list[Event])
    chosen: Branch | None = None
    tokens: list[Token] = field(default_factory=list[Token])

    def __post_init__(self) -> None:
        self.living[(self.index,)] = []

    def apply(self, happenings: Iterable[Happening]) -> None:
        for each in happenings:
            assert self.chosen is None, f"{each} after the end"
            match each:
                case TokenWritten(branch, position, token):
                    assert position == len(self.living[branch])
                    self.living[branch].append(token)
                case RolledBack(branch, event):
                    assert event.position < len(self.living[branch])
                    del self.living[branch][event.position :]
                    self.events.append(event)
                case Noted(branch, event):
                    assert branch in self.living
                    self.events.append(event)
                case Forked(branch, parent, position):
                    assert branch not in self.living
                    assert branch not in self.dropped
                    assert position == len(self.living[parent])
                    self.living[branch] = list(self.living[parent])
                case Dropped(branch):
                    del self.living[branch]
                    self.dropped.add(branch)
                case BranchChosen(branch, position):
                    assert list(self.living) == [branch]
                    self.chosen, self.tokens = branch, self.living[branch][:position]
