"""Which sequence lives in which slot of the KV cache, and what a slot still holds.

Slots are a cache of sequences, not a property of them: any sequence can be rebuilt from its token
ids. So there may be more sequences than slots, and what a slot holds serves later sequences that
begin the same way: the slot of a choice that has ended keeps its text (docs/prefix-cache.md) until
another one needs the place or the memory, the text that was not used for longest going first.

Every choice is entitled to a number of slots (`app.engine.lanes`), which nobody takes from it. What it holds
beyond that goes to whoever has less than its own part, or else to a choice that began earlier; those that
began last lose theirs first, whether they wait for a token or not. Were slots taken from whatever is idle,
branches that wait for each other would lose theirs at every token, and all of them would be computed anew
again and again.
"""

import logging
import weakref
from collections.abc import Sequence as Ids
from math import inf
from operator import attrgetter

from app.decoding.core.text import Text
from app.engine.failures import worded
from app.engine.memory import tells_of_memory
from app.engine.slot import Salt, Slot, Standing
from models.language_model import KVCache

log = logging.getLogger(__name__)

HowMissed = tuple[int, bool, bool, int, bool, int]

# Shorter prefixes that two prompts happen to share are cheaper to compute than to look after.
MIN_SHARED_PREFIX = 16


class SlotTable:
    """All slots of a cache.

    rows: how many of them sequences may own at a time; all if None. What is beyond keeps texts.
    most_kept_bytes: texts of choices that have ended are kept while all texts take no more; none if 0.
    """

    def __init__(self, cache: KVCache, rows: int | None = None, most_kept_bytes: float = inf) -> None:
        self._cache = cache
        self._rows = cache.slots if rows is None else rows
        self._most_kept_bytes = most_kept_bytes
        self._slots = [Slot(index) for index in range(cache.slots)]
        # Branches that wait for each other all go on before their choice has computed so much.
        self._patience = 2 * self._rows
        self.tick = 0

    def free(self) -> int:
        """Number of slots that sequences could own beside those that do now."""
        return self._rows - sum(not slot.free for slot in self._slots)

    def open(self) -> int:
        """Number of slots that a live choice may have: those that are free, and those of the background."""
        return self._rows - sum(not (slot.free or slot.standing.background) for slot in self._slots)

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
        source, shared = self._best_prefix(sequence, standing.salt)
        target = self._take(source, shared, standing, seize=seize)
        if target is None:
            return None
        if source is not None and source is not target and not self._carry_over(source, target, 0, shared):
            shared = 0
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
        source, shared = self._longest_prefix(
            slot.context.ids, slot.standing.salt, slot.valid + MIN_SHARED_PREFIX
        )
        if source is not None and self._carry_over(source, slot, slot.valid, shared):
            slot.written(shared)

    def release(self, standing: Standing, *, keep: bool = True) -> None:
        """Free every slot of a choice that has ended. keep: what they hold may serve others."""
        standing.ended = True
        for slot in self._slots:
            if slot.standing is standing and slot.context is not None:
                slot.owner = None
                if keep and self._most_kept_bytes:
                    self._keep_once(slot)
                else:
                    self._clear(slot)
        self.keep_less()

    def release_all(self) -> None:
        """Free every slot, and keep nothing."""
        for slot in self._slots:
            slot.owner = None
            self._clear(slot)

    def keep_less(self) -> None:
        """Let go of what is kept beyond its bound, those texts first that were not used for longest."""
        if self._cache.text_bytes > self._most_kept_bytes:
            for slot in sorted(self._kept(), key=_used):
                self._clear(slot)
                if self._cache.text_bytes <= self._most_kept_bytes:
                    return

    def keep_nothing(self) -> bool:
        """Let go of all that is kept. Returns whether there was anything."""
        kept = self._kept()
        for slot in kept:
            self._clear(slot)
        return bool(kept)

    def _carry_over(self, source: Slot, target: Slot, start: int, end: int) -> bool:
        """Copy what is computed anew if there is no memory for the copy; whether it was copied."""
        if source.free:
            source.used = self.tick
        try:
            self._cache.copy(source.index, target.index, start, end)
        except Exception as error:
            if not tells_of_memory(error):
                raise
            log.warning("A beginning that two texts share could not be copied: %s", worded(error))
            return False
        return True

    def _keep_once(self, slot: Slot) -> None:
        """Have no kept text be the beginning of another one, this one or any."""
        for other in self._slots:
            if other is not slot and other.context is not None and other.standing.ended:
                if _begins(slot, other):
                    other.used = self.tick
                    self._clear(slot)
                    return
                if _begins(other, slot):
                    self._clear(other)

    def _kept(self) -> list[Slot]:
        """Slots with texts that nobody goes on with. Of a choice that goes on, a branch that is gone may be
        where others begin that have had no turn yet."""
        old = self.tick - self._patience
        return [
            slot
            for slot in self._slots
            if slot.context is not None and slot.free and (slot.standing.ended or slot.used < old)
        ]

    def _clear(self, slot: Slot) -> None:
        self._cache.cut(slot.index, 0)
        slot.clear()

    def _best_prefix(self, sequence: Text, salt: Salt) -> tuple[Slot | None, int]:
        """The slot with the longest prefix in common with the sequence, if it is worth having."""
        ids = sequence.context.ids
        if sequence.origin is not None and sequence.origin.slot is not None:
            slot = self._slots[sequence.origin.slot]
            return slot, shared_prefix(ids, sequence.origin.ids, slot.valid)
        return self._longest_prefix(ids, salt, MIN_SHARED_PREFIX)

    def _longest_prefix(self, ids: Ids[int], salt: Salt, least: int) -> tuple[Slot | None, int]:
        """The slot that holds most of the beginning of a text, if that is at least so many ids."""
        best, most = None, least - 1
        for slot in self._slots:
            valid = slot.valid
            if slot.context is not None and valid > most and slot.standing.salt == salt:
                held = slot.context.ids
                if ids[: most + 1] == held[: most + 1]:  # else it shares no more than the best so far
                    best, most = slot, shared_prefix(ids, held, valid)
        return (None, 0) if best is None else (best, most)

    def _take(self, source: Slot | None, shared: int, standing: Standing, *, seize: bool) -> Slot | None:
        """A slot to overwrite: the source itself if it is free and holds no more than what is shared, else
        what is missed least, and rather anything than the source."""
        is_full = self.free() <= 0
        places = [
            slot
            for slot in self._slots
            if not (is_full and slot.free) and (seize or self._yields(slot, standing))
        ]

        def order(slot: Slot) -> tuple[int, HowMissed]:
            missed = self._how_missed(slot, standing)
            if slot is not source:
                return (1 if slot.free else 3), missed
            return (4 if not slot.free else 2 if shared < slot.valid else 0), missed

        return min(places, key=order, default=None)

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

    def _how_missed(self, slot: Slot, taker: Standing) -> HowMissed:
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


def _begins(slot: Slot, other: Slot) -> bool:
    """Whether one slot's text is the beginning of another's, or the same."""
    assert slot.context is not None
    assert other.context is not None
    length, ids, others = slot.valid, slot.context.ids, other.context.ids
    if length == 0:
        return True
    return (
        length <= other.valid
        and ids[length - 1] == others[length - 1]  # which tells most of them apart
        and slot.standing.salt == other.standing.salt
        and ids[:length] == others[:length]
    )


_used = attrgetter("used")
