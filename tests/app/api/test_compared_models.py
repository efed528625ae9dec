"""The models of a comparison are loaded within one time together."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from app.api.compared_models import HouseLender
from app.compare.spec import parse_spec

TAKES = 0.05


class SlowHouse:
    """Each of its models takes a while; it notes how long it may take."""

    def __init__(self) -> None:
        self.models = dict.fromkeys("abc")
        self.given: list[float] = []

    def excess(self, names: object) -> None: ...

    @asynccontextmanager
    async def lend(self, name: str, seconds: float) -> AsyncGenerator[None]:
        assert name in self.models
        self.given.append(seconds)
        await asyncio.sleep(TAKES)
        yield


def test_what_one_model_took_the_next_has_not() -> None:
    arms = [{"name": name, "strategy": {"kind": "greedy"}, "model": name} for name in "abc"]
    spec = parse_spec({"arms": arms, "problems": {"source": "given", "items": [{"prompt": "a"}]}})
    house: Any = SlowHouse()

    async def load(seconds: float) -> None:
        async with HouseLender(house).load(spec, seconds):
            pass

    asyncio.run(load(60))
    assert len(house.given) == 3
    for number, seconds in enumerate(house.given):
        assert 0 <= seconds <= 60 - 0.9 * TAKES * number
    house.given.clear()
    asyncio.run(load(TAKES / 2))
    assert house.given[1:] == [0, 0], "who is open already needs no time"
