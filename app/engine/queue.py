"""The line of those who wait to begin: how long it may be, and how long it will take."""

import math
import threading
from collections import deque

from app.errors import OverloadedError

_REMEMBERED = 64
"""So many beginnings tell how fast the line moves. Time in which nobody waited tells nothing."""

LONGEST_RETRY_SECONDS = 600


class Queue:
    """Counts live HTTP requests that have not begun. Thread-safe; times are those of `time.monotonic`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting = 0
        self._refused = 0
        # Seconds that the last beginnings took, and since when the next one is waited for.
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._since = 0.0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    @property
    def refused(self) -> int:
        """How many were not taken, or waited for too long."""
        return self._refused

    def join(self, now: float) -> None:
        """One more waits.

        Raises:
            OverloadedError: as many wait as may.
        """
        with self._lock:
            if self._waiting >= self._limit:
                self._refused += 1
                raise OverloadedError(
                    f"{self._waiting} requests are waiting, and no more than {self._limit} may.",
                    retry_after=self._seconds_to_wait(now),
                )
            if self._waiting == 0:
                self._since = now
            self._waiting += 1

    def leave(self, now: float | None = None) -> None:
        """One begins `now`, or has given up."""
        with self._lock:
            self._waiting -= 1
            if now is not None:
                self._took.append(now - self._since)
                self._since = now

    def too_late(self, now: float, seconds: float) -> OverloadedError:
        """What a request ends with that has waited for so many seconds."""
        with self._lock:
            self._refused += 1
            return OverloadedError(
                f"The request has waited for {seconds:g} s and could not begin.",
                retry_after=self._seconds_to_wait(now),
            )

    def _seconds_to_wait(self, now: float) -> int:
        """How long those who wait now will take to begin, at the rate at which the last ones did."""
        if not self._took:
            return 1
        seconds = self._waiting * (sum(self._took) + now - self._since) / len(self._took)
        return min(max(1, math.ceil(seconds)), LONGEST_RETRY_SECONDS)
