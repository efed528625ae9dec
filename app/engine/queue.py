"""The line of those who wait to begin: how long it may be, and how long it will take."""

import math
import threading
from collections import Counter, deque

from app.errors import OverloadedError

_REMEMBERED = 64
"""So many beginnings tell how fast the line moves. Time in which nobody waited tells nothing."""

_ENOUGH = 16
"""So many beginnings say enough to refuse somebody for what they foretell."""

_FORETOLD = 0.75
"""Part of the longest wait that one may be foretold, since a line is not even: who is taken should begin."""

LONGEST_RETRY_SECONDS = 600


class Queue:
    """Counts live HTTP requests that have not begun. Thread-safe; times are those of `time.monotonic`.

    limit: how many may wait. longest: seconds that one may wait. Who would wait longer by how the line moves
    is refused at once: that costs least when there is most to do, and whoever asked can go elsewhere.
    """

    def __init__(self, limit: int, longest: float = math.inf) -> None:
        self._limit = limit
        self._longest = longest
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()  # by client
        self._refused = 0
        # Seconds that the last beginnings took, and since when the next one is waited for.
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._since = 0.0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting.total()

    @property
    def refused(self) -> int:
        """How many were not taken, or waited for too long."""
        return self._refused

    def join(self, now: float, client: str = "", room: int = 0) -> None:
        """One more of this client waits. room: so many of the line may begin at once.

        Raises:
            OverloadedError: as many wait as may, or this one would wait for too long.
        """
        with self._lock:
            self._require_room(now, client, room)
            if not self.waiting:
                self._since = now
            self._waiting[client] += 1

    def require_room(self, now: float, client: str = "", room: int = 0) -> None:
        """Raise what `join` would."""
        with self._lock:
            self._require_room(now, client, room)

    def leave(self, now: float | None = None, client: str = "") -> None:
        """One begins `now`, or has given up."""
        with self._lock:
            self._waiting -= Counter({client: 1})
            if now is not None:
                self._took.append(now - self._since)
                self._since = now

    def _require_room(self, now: float, client: str, room: int) -> None:
        if self.waiting >= self._limit:
            self._refused += 1
            raise OverloadedError(
                f"{self.waiting} requests are waiting, and no more than {self._limit} may.",
                retry_after=self._retry_after(now),
            )
        seconds = max(0, self._ahead(client) - room) * self._seconds_each(now)
        if len(self._took) >= _ENOUGH and seconds > _FORETOLD * self._longest:
            self._refused += 1
            raise OverloadedError(
                f"{self.waiting} requests are waiting; this one would begin after some "
                f"{float(f'{seconds:.2g}'):g} s, and {_FORETOLD:.0%} of the {self._longest:g} s that one may "
                "wait are the most that one may be foretold.",
                retry_after=self._retry_after(now),
            )

    def _ahead(self, client: str) -> int:
        """How many begin before the next one of a client: clients take turns."""
        own = self._waiting[client]
        others = (count for name, count in self._waiting.items() if name != client)
        return own + sum(min(count, own + 1) for count in others)

    def too_late(self, now: float, seconds: float) -> OverloadedError:
        """What a request ends with that has waited for so many seconds."""
        with self._lock:
            self._refused += 1
            return OverloadedError(
                f"The request has waited for {seconds:g} s and could not begin.",
                retry_after=self._retry_after(now),
            )

    def _retry_after(self, now: float) -> int:
        """How long those who wait now will take to begin, in whole seconds."""
        seconds = math.ceil(self.waiting * self._seconds_each(now))
        return min(max(1, seconds), LONGEST_RETRY_SECONDS)

    def _seconds_each(self, now: float) -> float:
        """Seconds from one beginning to the next, by the last ones and the wait for the next."""
        if not self._took or not self.waiting:
            return 0.0
        return (sum(self._took) + now - self._since) / len(self._took)
