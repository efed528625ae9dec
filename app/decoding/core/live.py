"""What happens to the branches of a choice while it is being written, for those who want to watch.

A branch is named by the numbers of the forks that lead to it, the choice's own number first. The happenings,
applied in order, give the tokens of every branch at any time.
"""

import weakref
from dataclasses import dataclass

from app.decoding.core.types import Event, Token

Branch = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenWritten:
    """A token was appended; it is the branch's token number `position`. ends: it is no text, but ends it."""

    branch: Branch
    position: int
    token: Token
    ends: bool = False


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The branch was cut back to `event.position` tokens."""

    branch: Branch
    event: Event


@dataclass(frozen=True, slots=True)
class Noted:
    """A rule fired and cut nothing back."""

    branch: Branch
    event: Event


@dataclass(frozen=True, slots=True)
class Forked:
    """The branch began as a copy of its parent, which has `position` tokens."""

    branch: Branch
    parent: Branch
    position: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The branch was abandoned."""

    branch: Branch


@dataclass(frozen=True, slots=True)
class BranchChosen:
    """The choice is complete: its text is that of the branch's first `position` tokens."""

    branch: Branch
    position: int


Happening = TokenWritten | RolledBack | Noted | Forked | Dropped | BranchChosen


class LiveLog:
    """Happenings that nobody has taken yet, in order."""

    def __init__(self) -> None:
        self._happenings: list[Happening] = []
        self._living: set[Branch] = set()

    def add(self, happening: Happening) -> None:
        """Note what happened."""
        self._happenings.append(happening)

    def watch(self, text: object, branch: Branch) -> None:
        """Note when nothing refers to the branch's text any more: the strategy has let go of it."""
        self._living.add(branch)
        weakref.finalize(text, self._drop, branch).atexit = False

    def choose(self, branch: Branch, position: int) -> None:
        """Note that the branch is what its choice returns, and that the choice's others are abandoned."""
        for other in sorted(each for each in list(self._living) if each[0] == branch[0] and each != branch):
            self._drop(other)
        self._living.discard(branch)
        self.add(BranchChosen(branch, position))

    def take(self) -> tuple[Happening, ...]:
        """What happened since the last call."""
        # A branch may be dropped at any moment, wherever Python collects its garbage.
        taken = tuple(self._happenings)
        del self._happenings[: len(taken)]
        return taken

    def _drop(self, branch: Branch) -> None:
        if branch in self._living:
            self._living.discard(branch)
            self.add(Dropped(branch))
