"""When groups have to have begun, and when they have to have ended."""

import heapq
import weakref
from collections.abc import Iterator
from itertools import count

from app.engine.groups import Group


class Deadlines:
    """Forgets groups that are gone. Times are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, bool, weakref.ref[Group]]] = []
        self._numbers = count()

    def add(self, when: float, group: Group, *, to_begin: bool) -> None:
        """The group has to have begun, or ended, by then."""
        heapq.heappush(self._heap, (when, next(self._numbers), to_begin, weakref.ref(group)))

    def missed(self, now: float) -> Iterator[tuple[Group, bool]]:
        """Groups that are late, and whether they have not even begun."""
        while self._heap and self._heap[0][0] <= now:
            _, _, to_begin, reference = heapq.heappop(self._heap)
            group = reference()
            if group is None or group.over:
                continue
            if not (to_begin and group.begun):
                yield group, to_begin
