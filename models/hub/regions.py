"""Who owns which positions of a long line: regions of it are taken and given back."""

from bisect import insort
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Region:
    """Positions `start` to `end` of the line, `end` excluded."""

    start: int = 0
    end: int = 0

    @property
    def size(self) -> int:
        """Number of positions."""
        return self.end - self.start


class Regions:
    """A line of positions, as long as what is taken of it needs. Of the gaps, the first that is large enough
    is taken ("first fit": Knuth, The Art of Computer Programming, volume 1, section 2.5)."""

    def __init__(self) -> None:
        self._gaps: list[Region] = []  # in order, none touching another or the end
        self.length = 0

    @property
    def gaps(self) -> int:
        """Positions of the line that nobody has."""
        return sum(gap.size for gap in self._gaps)

    @property
    def taken(self) -> int:
        """Positions that somebody has."""
        return self.length - self.gaps

    def take(self, size: int) -> Region:
        """A region of `size` positions, at least 1."""
        for place, gap in enumerate(self._gaps):
            if gap.size >= size:
                taken = Region(gap.start, gap.start + size)
                rest = Region(taken.end, gap.end)
                self._gaps[place : place + 1] = [rest] if rest.size else []
                return taken
        taken = Region(self.length, self.length + size)
        self.length = taken.end
        return taken

    def give_back(self, region: Region) -> None:
        """A region that was taken, whole, is free again."""
        if not region.size:
            return
        insort(self._gaps, region)
        joined: list[Region] = []
        for gap in self._gaps:
            if joined and joined[-1].end == gap.start:
                gap = Region(joined.pop().start, gap.end)
            joined.append(gap)
        if joined[-1].end == self.length:
            self.length = joined.pop().start
        self._gaps = joined
