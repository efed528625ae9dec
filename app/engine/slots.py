"""Which sequence lives in which slot of the KV cache, and what a slot still holds.

Slots are a cache of sequences, not a property of them: any sequence can be rebuilt from its token
ids. So there may be more sequences than slots, a slot is taken from the sequence that has been
idle longest, and what a freed slot holds serves later sequences that begin the same way.
"""

import weakref
from collections.abc import Sequence as Ids

from app.decoding.context import Context, Ledger
from app.decoding.sequence import Sequence
from models.language_model import KVCache

# Shorter prefixes that two prompts happen to share are cheaper to compute than to look after.
MIN_SHARED_PREFIX = 16


class Slot:
    """One row of the cache.

    context: the ids that were written here; kept after their sequence is gone.
    length: how many of them were written.
    owner: the sequence that goes on here, None once it is gone.
    used: tick of the last use.
    """

    __slots__ = ("context", "index", "length", "owner", "used")

    def __init__(self, index: int) -> None:
        self.index = index
        self.context: Context | None = None
        self.length = 0
        self.owner: weakref.ref[Sequence] | None = None
        self.used = -1

    @property
    def valid(self) -> int:
        """Number of leading positions that hold what `context` says now."""
        return 0 if self.context is None else min(self.length, self.context.unchanged)

    @property
    def free(self) -> bool:
        """No living sequence owns it."""
        return self.owner is None or self.owner() is None

    @property
    def evictable(self) -> bool:
        """Free, or its owner is not waiting for a token."""
        owner = None if self.owner is None else self.owner()
        return owner is None or not owner.pending

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
        self.tick = 0

    def free(self) -> int:
        """Number of slots that no living sequence owns."""
        return sum(slot.free for slot in self._slots)

    def of(self, sequence: Sequence) -> Slot | None:
        """The slot that holds the sequence."""
        index = sequence.context.slot
        return None if index is None else self._slots[index]

    def assign(self, sequence: Sequence) -> Slot | None:
        """Give the sequence a slot that holds as much of its ids as any slot does.

        None if every slot belongs to a sequence that is waiting for a token.
        """
        source, shared = self._best_prefix(sequence)
        target = self._take(source)
        if target is None:
            return None
        if source is not None and source is not target:
            self._cache.copy(source.index, target.index, shared)
        if target.context is not None:
            target.context.slot = None
        target.context = sequence.context
        target.owner = weakref.ref(sequence)
        target.used = self.tick
        sequence.context.slot = target.index
        sequence.origin = None
        target.written(shared)
        return target

    def copy(self, source: Slot, target: Slot, length: int) -> None:
        """Give one sequence's slot the first `length` positions of another's."""
        self._cache.copy(source.index, target.index, length)
        target.written(length)

    def release(self, ledger: Ledger) -> None:
        """Free every slot of a choice that has ended; what they hold stays for others."""
        for slot in self._slots:
            owner = None if slot.owner is None else slot.owner()
            if owner is not None and owner.ledger is ledger:
                slot.owner = None

    def _best_prefix(self, sequence: Sequence) -> tuple[Slot | None, int]:
        """The slot with the longest prefix in common with the sequence, if it is worth having."""
        ids = sequence.context.ids
        if sequence.origin is not None and sequence.origin.slot is not None:
            slot = self._slots[sequence.origin.slot]
            return slot, shared_prefix(ids, sequence.origin.ids, slot.valid)
        best, most = None, MIN_SHARED_PREFIX - 1
        for slot in self._slots:
            valid = slot.valid
            if slot.context is not None and valid > most:
                shared = shared_prefix(ids, slot.context.ids, valid)
                if shared > most:
                    best, most = slot, shared
        return (None, 0) if best is None else (best, most)

    def _take(self, source: Slot | None) -> Slot | None:
        """A slot to overwrite: the source itself if free, else what is missed least."""
        if source is not None and source.free:
            return source
        candidates = [slot for slot in self._slots if slot.evictable and slot is not source]
        if candidates:
            return min(candidates, key=_how_missed)
        return source if source is not None and source.evictable else None


def _how_missed(slot: Slot) -> tuple[bool, int]:
    """Free slots first, then those not used for longest."""
    return (not slot.free, slot.used)


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
