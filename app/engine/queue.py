"""The line of those who wait to begin: how long it may be, and how long it will take."""

import math
import threading
from collections import Counter, deque
from itertools import accumulate

from app.errors import OverloadedError

_REMEMBERED = 64
"""So many beginnings tell how fast the line moves. Time in which nobody wanted to begin tells nothing."""

_ENOUGH = 16
"""So many beginnings say enough to refuse somebody for what they foretell."""

_LATELY = 10
"""So many times the longest wait ago is long ago: beyond the last `_ENOUGH` what was then is forgotten."""

_FORETOLD = 0.5
"""Part of the longest wait that one may be foretold. Who is taken should begin: whoever waits in vain has
lost that time, and holds up others."""

LONGEST_RETRY_SECONDS = 600


class Queue:
    """Counts live HTTP requests that have not begun. Thread-safe; times are those of `time.monotonic`.

    limit: how many may wait. longest: seconds that one may wait. Who might wait longer, if the line moves as
    slowly as it did at its slowest lately, is refused at once: that costs least when there is most to do, and
    whoever asked can go elsewhere.
    """

    def __init__(self, limit: int, longest: float = math.inf) -> None:
        self._limit = limit
        self._longest = longest
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()  # by client
        self._refused = 0
        # Seconds that the last beginnings took, when they were, and since when the next one is waited for.
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._since = 0.0
        # From when to when others wanted to begin since then, who were refused or have waited for too long.
        self._turned_away: tuple[float, float] | None = None

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
                self._since = now - self._waited_for(now)
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
                self._times.append(now)
                self._since, self._turned_away = now, None

    def _require_room(self, now: float, client: str, room: int) -> None:
        if self.waiting >= self._limit:
            self._refused += 1
            raise OverloadedError(
                f"{self.waiting} requests are waiting, and no more than {self._limit} may.",
                retry_after=self._retry_after(now),
            )
        if len(self._took) < _ENOUGH:
            return
        while len(self._took) > _ENOUGH and self._times[0] < now - _LATELY * self._longest:
            self._took.popleft()
            self._times.popleft()
        seconds = self._slowest(self._ahead(client) + 1 - room, now)
        if seconds > _FORETOLD * self._longest:
            self._refused += 1
            if not self.waiting:
                self._turned_away = (now if self._turned_away is None else self._turned_away[0], now)
            raise OverloadedError(
                f"{self.waiting} requests are waiting; this one might begin after "
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
            self._turned_away = (self._since, now)
            return OverloadedError(
                f"The request has waited for {seconds:g} s and could not begin.",
                retry_after=self._retry_after(now),
            )

    def _retry_after(self, now: float) -> int:
        """How long those who wait now will take to begin, in whole seconds."""
        seconds = math.ceil(self.waiting * self._seconds_each(now))
        return min(max(1, seconds), LONGEST_RETRY_SECONDS)

    def _slowest(self, beginnings: int, now: float) -> float:
        """Seconds that so many beginnings in a row took when they took longest, of the last ones and the wait
        for the next. The mean says too little: requests that began together end together."""
        took = [*self._took, self._waited_for(now)]
        if beginnings <= 0:
            return 0.0
        if beginnings >= len(took):
            return sum(took) * beginnings / len(self._took)
        until = [0.0, *accumulate(took)]
        return max(end - begin for begin, end in zip(until, until[beginnings:], strict=False))

    def _waited_for(self, now: float) -> float:
        """Seconds for which somebody has wanted to begin since the last one did."""
        if self.waiting:
            return now - self._since
        first, last = self._turned_away or (now, now)
        return last - first

    def _seconds_each(self, now: float) -> float:
        """Seconds from one beginning to the next, by the last ones and the wait for the next."""
        if not self._took or not self.waiting:
            return 0.0
        return (sum(self._took) + now - self._since) / len(self._took)
