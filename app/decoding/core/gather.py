"""Branches of a strategy that run side by side."""

from collections.abc import Awaitable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")


class Gather(Generic[T]):
    """Asks the engine to run branches side by side."""

    __slots__ = ("branches",)

    def __init__(self, branches: tuple[Awaitable[T], ...]) -> None:
        self.branches = branches

    def __await__(self) -> Generator["Gather[T]", list[T], list[T]]:
        results = yield self
        return results


def gather(*branches: Awaitable[T]) -> Gather[T]:
    """Run branches side by side; awaiting it gives their results in order.

    If one raises, the others are stopped and its exception comes out of the await.
    """
    return Gather(branches)
