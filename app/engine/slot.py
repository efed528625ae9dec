"""A row of the cache, what it holds, and whose it is."""

import weakref
from dataclasses import dataclass

from app.decoding.core.context import Context
from app.decoding.core.text import Text

Salt = tuple[str, str]
"""Whose text it is, by the name of a client, and the salt that its request brings: who brings another learns
nothing of it, not even from how soon an answer comes."""


@dataclass(eq=False, slots=True)
class Standing:
    """Where a choice stands among those that share the slots.

    number: in order of beginning. salt: it takes over the texts of choices with the same one alone.
    entitled: slots that nobody takes from it. ended: nothing of it goes on.
    held: slots of its sequences that go on. resting: of these, those whose sequence waits for no token now.
    """

    background: bool = False
    number: int = 0
    salt: Salt = ("", "")
    entitled: int = 1
    held: int = 0
    resting: int = 0
    ended: bool = False


class Slot:
    """One row of the cache.

    context: the ids that were written here; kept after their sequence is gone.
    length: how many of them were written.
    owner: the sequence that goes on here, None once it is gone.
    standing: that of the owner's choice. counted: it is one of those that the choice holds.
    used: tick of the last use. spent: tokens that the owner's choice had computed by then.
    """

    __slots__ = ("context", "counted", "index", "length", "owner", "spent", "standing", "used")

    def __init__(self, index: int) -> None:
        self.index = index
        self.context: Context | None = None
        self.length = 0
        self.owner: weakref.ref[Text] | None = None
        self.standing = Standing()
        self.counted = False
        self.used = -1
        self.spent = 0

    @property
    def valid(self) -> int:
        """Number of leading positions that hold what `context` says now."""
        return 0 if self.context is None else min(self.length, self.context.unchanged)

    @property
    def free(self) -> bool:
        """No living sequence owns it."""
        return self.owner is None or self.owner() is None

    @property
    def resting(self) -> bool:
        """Its owner waits for no token now."""
        owner = None if self.owner is None else self.owner()
        return owner is None or not owner.pending

    def idle(self, longest: int) -> bool:
        """It has no owner, or one that will hardly go on soon: its text is finished, or its choice has
        computed more than `longest` tokens since it last had one."""
        owner = None if self.owner is None else self.owner()
        if owner is None or owner.finished:
            return True
        return not owner.pending and owner.ledger.spent - self.spent > longest

    def written(self, length: int) -> None:
        """The cache now holds the first `length` ids."""
        assert self.context is not None
        self.length = length
        self.context.unchanged = length

    def forget(self) -> None:
        """What the cache holds here is not to be trusted."""
        self.length = 0

    def clear(self) -> None:
        """The cache holds nothing here any more, and nobody goes on."""
        if self.context is not None:
            self.context.slot = None
        self.context = self.owner = None
        self.length, self.used = 0, -1
