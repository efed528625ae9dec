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
    background: the owner gives way to live requests.
    used: tick of the last use.
    """

    __slots__ = ("background", "context", "index", "length", "owner", "used")

    def __init__(self, index: int) -> None:
        self.index = index
        self.context: Context | None = None
        self.length = 0
        self.owner: weakref.ref[Sequence] | None = None
        self.background = False
        self.used = -1

    @property
    def valid(self) -> int:
        """Number of leading positions that hold what `context` says now."""
        return 0 if self.context is None else min(self.length, self.context.unchanged)

    @property
    def free(self) -> bool:
        """No living sequence owns it."""
        return self.owner is None or self.owner() is None

    def yields_to(self, background: bool) -> bool:
        """Free, or its owner is not waiting for a token; or the owner is in the background, which gives way
        to live requests and takes nothing from them."""
        owner = None if self.owner is None else self.owner()
        if owner is None:
            return True
        if self.background != background:
            return self.background
        return not owner.pending

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

    def open(self, background: bool) -> int:
        """Number of slots that new sequences may have: the free ones, and for live requests also those of the
        background."""
        return sum(slot.free or (slot.background and not background) for slot in self._slots)

    def of(self, sequence: Sequence) -> Slot | None:
        """The slot that holds the sequence."""
        index = sequence.context.slot
        return None if index is None else self._slots[index]

    def assign(self, sequence: Sequence, background: bool = False, *, seize: bool = False) -> Slot | None:
        """Give the sequence a slot that holds as much of its ids as any slot does.

        background: it gives way to live requests. seize: take the slot whose last use is longest ago, if no
        other is to be had; its owner will be rebuilt.
        None if every slot belongs to a sequence that is waiting for a token, or to one that is live while
        this one is not.
        """
        source, shared = self._best_prefix(sequence)
        target = self._take(source, background)
        if target is None and seize:
            target = min(self._slots, key=_how_missed)
        if target is None:
            return None
        if source is not None and source is not target:
            self._cache.copy(source.index, target.index, shared)
        if target.context is not None:
            target.context.slot = None
        target.context = sequence.context
        target.owner = weakref.ref(sequence)
        target.background = background
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

    def _take(self, source: Slot | None, background: bool) -> Slot | None:
        """A slot to overwrite: the source itself if free, else what is missed least."""
        if source is not None and source.free:
            return source
        candidates = [slot for slot in self._slots if slot.yields_to(background) and slot is not source]
        if candidates:
            return min(candidates, key=_how_missed)
        return source if source is not None and source.yields_to(background) else None


def _how_missed(slot: Slot) -> tuple[bool, bool, int]:
    """Free slots first, then those of the background, and of equals those not used for longest."""
    return (not slot.free, not slot.background, slot.used)


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
