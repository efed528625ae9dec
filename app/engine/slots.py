"""Which sequence lives in which slot of the KV cache, and what a slot still holds.

Slots are a cache of sequences, not a property of them: any sequence can be rebuilt from its token
ids. So there may be more sequences than slots, and what a freed slot holds serves later sequences
that begin the same way.

Every choice is entitled to a number of slots (`app.engine.lanes`), which nobody takes from it. What it holds
beyond that goes to whoever has less than its own part, or else to a choice that began earlier; those that
began last lose theirs first, whether they wait for a token or not. Were slots taken from whatever is idle,
branches that wait for each other would lose theirs at every token, and all of them would be computed anew
again and again.
"""

import weakref
from collections.abc import Sequence as Ids
from dataclasses import dataclass

from app.decoding.core.context import Context
from app.decoding.core.text import Ledger, Text
from models.language_model import KVCache


@dataclass(eq=False, slots=True)
class Standing:
    """Where a choice stands among those that share the slots.

    number: in order of beginning. entitled: slots that nobody takes from it.
    held: slots of its sequences that go on. resting: of these, those whose sequence waits for no token now.
    """

    background: bool = False
    number: int = 0
    entitled: int = 1
    held: int = 0
    resting: int = 0


# Shorter prefixes that two prompts happen to share are cheaper to compute than to look after.
MIN_SHARED_PREFIX = 16


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


class SlotTable:
    """All slots of a cache."""

    def __init__(self, cache: KVCache) -> None:
        self._cache = cache
        self._slots = [Slot(index) for index in range(cache.slots)]
        # Branches that wait for each other all go on before their choice has computed so much.
        self._patience = 2 * cache.slots
        self.tick = 0

    def free(self) -> int:
        """Number of slots that no living sequence owns."""
        return sum(slot.free for slot in self._slots)

    def open(self) -> int:
        """Number of slots that a live choice may have: those that are free, and those of the background."""
        return sum(slot.free or slot.standing.background for slot in self._slots)

    def count(self) -> None:
        """Count anew what every choice holds: branches come and go without a word to the table."""
        for slot in self._slots:
            slot.standing.held = slot.standing.resting = 0
        for slot in self._slots:
            slot.counted = slot.owner is not None and not slot.idle(self._patience)
            if slot.counted:
                slot.standing.held += 1
                slot.standing.resting += slot.resting

    def held(self, *, background: bool) -> int:
        """Number of slots that the choices of one lane held when they were last counted."""
        return sum(slot.counted and slot.standing.background == background for slot in self._slots)

    def use(self, slot: Slot) -> None:
        """Note that the owner goes on."""
        slot.used = self.tick
        owner = None if slot.owner is None else slot.owner()
        slot.spent = 0 if owner is None else owner.ledger.spent

    def of(self, sequence: Text) -> Slot | None:
        """The slot that holds the sequence."""
        index = sequence.context.slot
        return None if index is None else self._slots[index]

    def assign(self, sequence: Text, standing: Standing, *, seize: bool = False) -> Slot | None:
        """Give the sequence a slot that holds as much of its ids as any slot does.

        standing: that of its choice. seize: if no slot yields to it, take what is missed least all the same.
        None if no slot yields to it.
        """
        source, shared = self._best_prefix(sequence)
        target = self._take(source, standing)
        if target is None and seize:
            target = min(self._slots, key=lambda slot: self._how_missed(slot, standing))
        if target is None:
            return None
        if source is not None and source is not target:
            self._cache.copy(source.index, target.index, 0, shared)
        if target.context is not None:
            target.context.slot = None
        target.standing.held -= target.counted
        target.context = sequence.context
        target.owner = weakref.ref(sequence)
        target.standing = standing
        target.counted = True
        standing.held += 1
        self.use(target)
        sequence.context.slot = target.index
        sequence.origin = None
        target.written(shared)
        return target

    def copy(self, source: Slot, target: Slot, start: int, end: int) -> None:
        """Give one sequence's slot the positions `start` to `end` of another's, whose ids are the same."""
        self._cache.copy(source.index, target.index, start, end)
        target.written(end)

    def catch_up(self, slot: Slot) -> None:
        """Give a slot what another one holds of its text, if that is more than it holds itself."""
        assert slot.context is not None
        source, shared = self._longest_prefix(slot.context.ids, slot.valid + MIN_SHARED_PREFIX)
        if source is not None:
            self.copy(source, slot, slot.valid, shared)

    def release(self, ledger: Ledger) -> None:
        """Free every slot of a choice that has ended; what they hold stays for others."""
        for slot in self._slots:
            owner = None if slot.owner is None else slot.owner()
            if owner is not None and owner.ledger is ledger:
                slot.owner = None

    def release_all(self) -> None:
        """Free every slot."""
        for slot in self._slots:
            slot.owner = None

    def _best_prefix(self, sequence: Text) -> tuple[Slot | None, int]:
        """The slot with the longest prefix in common with the sequence, if it is worth having."""
        ids = sequence.context.ids
        if sequence.origin is not None and sequence.origin.slot is not None:
            slot = self._slots[sequence.origin.slot]
            return slot, shared_prefix(ids, sequence.origin.ids, slot.valid)
        return self._longest_prefix(ids, MIN_SHARED_PREFIX)

    def _longest_prefix(self, ids: Ids[int], least: int) -> tuple[Slot | None, int]:
        """The slot that holds most of the beginning of a text, if that is at least so many ids."""
        best, most = None, least - 1
        for slot in self._slots:
            valid = slot.valid
            if slot.context is not None and valid > most:
                shared = shared_prefix(ids, slot.context.ids, valid)
                if shared > most:
                    best, most = slot, shared
        return (None, 0) if best is None else (best, most)

    def _take(self, source: Slot | None, standing: Standing) -> Slot | None:
        """A slot to overwrite: the source itself if free, else what is missed least."""
        if source is not None and source.free:
            return source
        candidates = [slot for slot in self._slots if self._yields(slot, standing) and slot is not source]
        if candidates:
            return min(candidates, key=lambda slot: self._how_missed(slot, standing))
        return source if source is not None and self._yields(source, standing) else None

    def _yields(self, slot: Slot, taker: Standing) -> bool:
        """Whether a choice may take it."""
        if slot.idle(self._patience):
            return True
        owner = slot.standing
        if owner is taker:
            return slot.resting
        if owner.background != taker.background:
            return owner.background
        if owner.held <= owner.entitled:
            return False
        return taker.held < taker.entitled or taker.number < owner.number

    def _how_missed(self, slot: Slot, taker: Standing) -> tuple[int, bool, bool, int, bool, int]:
        """Free slots are missed least, then idle ones, then those of the background and of choices that began
        last, resting branches first, and the choice's own come last; of equals, those not used for longest.
        """
        if slot.free:
            return (0, False, False, 0, False, slot.used)
        order, owner = 1 if slot.idle(self._patience) else 2, slot.standing
        return (order, owner is taker, not owner.background, -owner.number, not slot.resting, slot.used)


def shared_prefix(left: Ids[int], right: Ids[int], limit: int) -> int:
    """Length of the longest common prefix, at most `limit`."""
    low, high = 0, min(len(left), len(right), limit)
    if left[:high] == right[:high]:
        return high
    # left[:low] always agrees and left[:high] never does.
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
