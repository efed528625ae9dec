"""How far something is that is done one after the other, and how long the rest takes."""

import time
from dataclasses import dataclass


@dataclass
class Progress:
    """How many of `total` are done. since: when this process had its first, which made them `before`."""

    total: int
    done: int
    before: int = 0
    since: float | None = None

    def begin(self, done: int) -> None:
        """Begin, or go on, with so many done."""
        self.done = self.before = done
        self.since = None

    def advance(self) -> None:
        """One more is done. The clock starts with the first, as others may have to be done before."""
        self.done += 1
        if self.since is None:
            self.since, self.before = time.monotonic(), self.done

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest takes at the pace so far; None where there is none."""
        if self.since is None or self.done == self.before:
            return None
        pace = (time.monotonic() - self.since) / (self.done - self.before)
        return pace * (self.total - self.done)
