"""Which pages of a pool hold each slot's text. Texts that begin the same way have pages in common."""

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

PAGE = 16
"""Positions of a page. Half of it is spare at the end of a text, on average."""


def pages_for(length: int) -> int:
    """How many pages a text of so many tokens has."""
    return -(-length // PAGE)


class Pages:
    """The pages of every slot, in the order of its text. Those in front are taken first, so that the end of
    the pool gets free."""

    def __init__(self, slots: int, length: int) -> None:
        """Of so many slots, with texts of at most `length` tokens."""
        self._tables = np.zeros((slots, pages_for(length)), dtype=np.int64)
        self._counts = [0] * slots
        self._references: list[int] = []  # how many slots refer to each page
        self._free: list[int] = []  # a heap of those that nobody refers to
        self.taken = 0

    def places(self, slots: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in the pool positions (B, T) of slots (B,) lie."""
        return self._tables[slots[:, None], positions // PAGE] * PAGE + positions % PAGE

    def start(self, slot: int, length: int) -> int | None:
        """Where in the pool the first `length` positions of a slot begin, if they lie in one piece."""
        pages = self._tables[slot, : pages_for(length)]
        return int(pages[0]) * PAGE if (np.diff(pages) == 1).all() else None

    def cut(self, slot: int, length: int) -> None:
        """Let go of pages that hold nothing of the first `length` positions."""
        kept = pages_for(length)
        if self._counts[slot] > kept:
            for page in self._tables[slot, kept : self._counts[slot]].tolist():
                self._let_go(page)
            self._counts[slot] = kept

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Have one slot refer to another's positions up to `end`, from the page of `start` on."""
        first, last = start // PAGE, pages_for(end)
        shared = self._tables[source, first:last]
        for page in shared.tolist():
            self._references[page] += 1
        self.cut(target, first * PAGE)
        self._tables[target, first:last] = shared
        self._counts[target] = last

    def lacking(self, slot: int, start: int, end: int) -> int:
        """The most pages that have to be taken before positions `start` to `end` of a slot are written."""
        return pages_for(end) - self._counts[slot] + self._is_shared_at(slot, start)

    def own(self, slot: int, start: int, end: int) -> tuple[int, int] | None:
        """Take pages for positions `start` to `end` of a slot that was cut at `start`.

        Returns a page that others refer to as well, and the one that is to become its copy, if there is one.
        """
        copied = None
        if self._is_shared_at(slot, start):
            place = start // PAGE
            copied = int(self._tables[slot, place]), self._take()
            self._let_go(copied[0])
            self._tables[slot, place] = copied[1]
        for place in range(self._counts[slot], pages_for(end)):
            self._tables[slot, place] = self._take()
        self._counts[slot] = pages_for(end)
        return copied

    def trim(self) -> int:
        """Forget free pages at the end. Returns how many there are in front of them."""
        while self._references and not self._references[-1]:
            self._references.pop()
        length = len(self._references)
        self._free = [page for page in self._free if page < length]
        heapify(self._free)
        return length

    def _is_shared_at(self, slot: int, start: int) -> bool:
        """Whether a page holds positions before `start` and `start`, and others refer to it as well."""
        place = start // PAGE
        return (
            start % PAGE > 0
            and place < self._counts[slot]
            and self._references[int(self._tables[slot, place])] > 1
        )

    def _take(self) -> int:
        self.taken += 1
        if self._free:
            page = heappop(self._free)
            self._references[page] = 1
        else:
            page = len(self._references)
            self._references.append(1)
        return page

    def _let_go(self, page: int) -> None:
        self._references[page] -= 1
        if not self._references[page]:
            self.taken -= 1
            heappush(self._free, page)
