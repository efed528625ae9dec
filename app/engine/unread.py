"""Texts that are to be read: one at a time, in turn over clients and over the groups of a client."""

from collections import deque

from app.engine.choice import ActiveRequest
from app.engine.groups import Group
from app.engine.scoring import ScoreJob


class Unread:
    """Groups that have texts to be read."""

    def __init__(self) -> None:
        self._clients: dict[str, deque[Group]] = {}

    def __bool__(self) -> bool:
        return bool(self._clients)

    def groups(self) -> list[Group]:
        """All of them."""
        return [group for groups in self._clients.values() for group in groups]

    def add(self, group: Group) -> None:
        """The group has texts now, and had none before."""
        self._clients.setdefault(group.client, deque()).append(group)

    def take(self) -> tuple[Group, ScoreJob | ActiveRequest] | None:
        """The next text, if there is one; its group has its next turn after all others."""
        while self._clients:
            client, groups = next(iter(self._clients.items()))
            del self._clients[client]
            group = groups.popleft()
            job = group.unread.popleft() if group.unread else None
            if group.unread:
                groups.append(group)
            if groups:
                self._clients[client] = groups
            if job is not None:
                return group, job
        return None
