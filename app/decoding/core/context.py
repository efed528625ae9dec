"""What a text leaves behind in the engine's cache: the ids that it follows."""


class Context:
    """Token ids of prompt and completion, as the engine's cache sees them.

    unchanged: how many leading ids are still the ones that the cache last wrote.
    slot: the engine's note of where in its cache they are; None when nowhere.
    """

    __slots__ = ("ids", "slot", "unchanged")

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.unchanged = 0
        self.slot: int | None = None

    def truncate(self, length: int) -> None:
        """Drop all ids from `length` on."""
        del self.ids[length:]
        self.unchanged = min(self.unchanged, length)
