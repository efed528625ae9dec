"""Several models by name: opened when needed, lent, and let go where memory is short."""

import asyncio
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.api.errors import ApiError, to_api_error
from app.api.housed_model import HousedModel
from app.api.metrics import Metrics
from app.api.model_house import ModelHouse
from app.api.service import Service
from app.api.serving import Serving
from app.errors import DeadlineError, EngineStoppedError, OverloadedError, RequestError
from app.main import start_engine
from app.settings import ModelSource, Settings
from models.errors import ArtifactError, CapacityError

SOURCES = [ModelSource(name, Path("unused"), None) for name in ("a", "b", "c")]
WEIGHT = 10


@pytest.fixture(scope="module")
def serving(checkpoint_folder: Path) -> Generator[Serving]:
    """A model whose engine all models of a test's house share."""
    made = start_engine(Settings(checkpoint=checkpoint_folder, no_probes=True))
    yield made
    made.engine.stop()


class Engines:
    """What a house is made with, and which models it opened; `broken` cannot be."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.opened: list[str] = []
        self.broken = ""
        self.may_open = threading.Event()
        self.may_open.set()
        self.begun = False
        self.tried = 0

    def house(
        self, max_bytes: int | None = None, max_wait_seconds: float = 0.0, retry_seconds: float = 0.0
    ) -> ModelHouse:
        return ModelHouse(SOURCES, self._open, lambda _: WEIGHT, max_bytes, max_wait_seconds, retry_seconds)

    def _open(self, source: ModelSource) -> Serving:
        self.begun = True
        self.tried += 1
        assert self.may_open.wait(30)
        if source.name == self.broken:
            raise ArtifactError("/srv/models/b/config.json is damaged")
        self.opened.append(source.name)
        return replace(self.serving, name=source.name)


@pytest.fixture
def engines(serving: Serving) -> Engines:
    return Engines(serving)


def use(house: ModelHouse, *names: str) -> None:
    for name in names:
        with house.lend_to_thread(name) as lent:
            assert lent.name == name


def names(house: ModelHouse) -> list[str]:
    return [lent.name for lent in house.open()]


def test_a_model_is_opened_once_and_the_first_is_that_of_whoever_names_none(engines: Engines) -> None:
    house = engines.house()
    use(house, "b", "b", "a")
    with house.lend_to_thread() as lent:
        assert lent.name == "a"
    assert engines.opened == ["b", "a"]


def test_an_unknown_name_is_told_those_that_there_are(engines: Engines) -> None:
    with pytest.raises(
        RequestError, match="model is 'd', which is not served here; use 'a', 'b', 'c'"
    ) as told:
        use(engines.house(), "d")
    answer = to_api_error(told.value, "")
    assert answer.status == 404
    assert answer.envelope.error.code == "model_not_found"


def test_the_one_that_was_returned_first_goes_first(engines: Engines) -> None:
    house = engines.house(max_bytes=2 * WEIGHT)
    use(house, "a", "b", "a", "c")
    assert names(house) == ["a", "c"]
    use(house, "b")
    assert names(house) == ["b", "c"]
    assert [house.models[name].loads for name in "abc"] == [1, 2, 1]
    assert house.models["a"].facts is not None, "what is known of it stays"


def test_what_is_lent_stays(engines: Engines) -> None:
    house = engines.house(max_bytes=2 * WEIGHT)
    with house.lend_to_thread("a"), house.lend_to_thread("b"):
        with pytest.raises(OverloadedError, match="no memory for c beside the models that are in use"):
            use(house, "c")
        assert names(house) == ["a", "b"]
    use(house, "c")


def test_the_default_stays_once_it_is_kept(engines: Engines) -> None:
    house = engines.house(max_bytes=2 * WEIGHT)
    assert house.keep_default().name == "a"
    use(house, "b", "c", "b")
    assert engines.opened == ["a", "b", "c", "b"]


def test_one_that_is_returned_makes_room_for_one_that_waits(engines: Engines) -> None:
    house = engines.house(max_bytes=WEIGHT, max_wait_seconds=60)
    with ExitStack() as loan:
        loan.enter_context(house.lend_to_thread("a"))
        waiting = threading.Thread(target=use, args=(house, "b"))
        waiting.start()
        while not house.models["b"].loans:
            pass
    waiting.join(60)
    assert names(house) == ["b"]


def test_one_that_is_too_large_alone_is_refused(engines: Engines) -> None:
    house = engines.house(max_bytes=WEIGHT - 1)
    with pytest.raises(CapacityError, match=r"take 10 bytes.* may take 9 \(DEMUR_MAX_MODEL_BYTES\)"):
        use(house, "a")


def test_all_who_ask_meanwhile_wait_for_one_opening(engines: Engines) -> None:
    house = engines.house()
    engines.may_open.clear()

    async def ask() -> str:
        async with house.lend("b") as lent:
            return lent.name

    async def all_at_once() -> list[str]:
        asked = [asyncio.create_task(ask()) for _ in range(20)]
        gone = asyncio.create_task(ask())
        await asyncio.sleep(0)
        gone.cancel()
        engines.may_open.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(all_at_once()) == ["b"] * 20
    assert engines.opened == ["b"]
    assert house.models["b"].loans == 0, "whoever went away waits for nothing"


def test_one_that_cannot_be_opened_says_why_and_can_be_tried_again(engines: Engines) -> None:
    house = engines.house()
    engines.broken = "b"

    async def ask() -> None:
        async with house.lend("b"):
            pass

    with pytest.raises(ApiError, match=r"'b' cannot be loaded: config\.json is damaged") as told:
        asyncio.run(ask())
    assert told.value.status == 503
    assert house.models["b"].loans == 0
    use(house, "a")
    engines.broken = ""
    asyncio.run(ask())


def test_one_that_failed_before_it_was_waited_for_says_why(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = engines.house()
    engines.broken = "b"
    borrow = ModelHouse._borrow  # pyright: ignore[reportPrivateUsage]

    def until_over(self: ModelHouse, name: str | None) -> object:
        borrowed = borrow(self, name)
        while self.models["b"].opening is not None:
            time.sleep(0.001)
        return borrowed

    monkeypatch.setattr(ModelHouse, "_borrow", until_over)

    async def ask() -> None:
        async with house.lend("b"):
            pass

    with pytest.raises(ApiError, match="'b' cannot be loaded"):
        asyncio.run(ask())
    with pytest.raises(ArtifactError, match="is damaged"):
        use(house, "b")
    assert house.models["b"].loans == 0


def test_a_closed_house_opens_none_of_those_that_wait(engines: Engines, checkpoint_folder: Path) -> None:
    engines.serving = start_engine(Settings(checkpoint=checkpoint_folder, no_probes=True))
    house = engines.house()
    engines.may_open.clear()

    async def ask(name: str) -> None:
        async with house.lend(name):
            pass

    async def close_meanwhile() -> list[BaseException | None]:
        asked = [asyncio.create_task(ask(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0)
        while not engines.begun:
            await asyncio.sleep(0.001)
        house.close()
        engines.may_open.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(close_meanwhile())
    assert engines.opened == ["a"]
    assert not engines.serving.engine.running
    assert [type(each) for each in answers[1:]] == [EngineStoppedError, EngineStoppedError]


class Leaving(HousedModel):
    """One that is let go after so many looks at it."""

    looks = 1

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "serving":
            self.looks -= 1
            if self.looks == 0:
                self.serving = None
        return value


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_one_that_is_let_go_while_it_is_looked_at_troubles_nobody(engines: Engines, looks: int) -> None:
    house = engines.house()
    house.models["a"] = model = Leaving(SOURCES[0], engines.serving)
    model.looks = looks
    assert names(house) == ["tiny"]
    model.serving, model.looks = engines.serving, looks
    metrics = Metrics()
    metrics.watch_models({"a": model})
    assert metrics.registry.get_sample_value("demur_model_open") is not None


def test_a_closed_house_lends_nothing(engines: Engines, checkpoint_folder: Path) -> None:
    engines.serving = start_engine(Settings(checkpoint=checkpoint_folder, no_probes=True))
    house = engines.house()
    use(house, "a")
    house.close()
    assert not engines.serving.engine.running
    with pytest.raises(EngineStoppedError):
        use(house, "a")


def test_one_that_cannot_be_opened_is_left_alone_for_a_while(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("app.api.housed_model.time.monotonic", lambda: clock[0])
    house = engines.house(retry_seconds=10)
    engines.broken = "b"

    async def ask() -> None:
        async with house.lend("b"):
            pass

    for _ in range(3):
        with pytest.raises(ApiError, match=r"config\.json is damaged; it is tried again after \d+ s") as told:
            asyncio.run(ask())
        assert 1 <= int(told.value.headers["retry-after"]) <= 10
        with pytest.raises(ArtifactError, match="is damaged"):
            use(house, "b")
        clock[0] += 3
    assert engines.tried == 1
    assert house.models["b"].state == "failed"
    clock[0] += 3
    engines.broken = ""
    asyncio.run(ask())
    assert (house.models["b"].state, house.models["b"].failure) == ("loaded", None)
    assert house.models["a"].state == "not_loaded"
    assert house.models["b"].loans == 0


def test_whoever_asked_waits_no_longer_than_it_may(engines: Engines) -> None:
    house = engines.house()
    engines.may_open.clear()

    async def ask(seconds: float | None) -> str:
        async with house.lend("b", seconds) as lent:
            return lent.name

    async def in_haste() -> str:
        with pytest.raises(DeadlineError, match=r"'b' was not loaded after 0\.01 s"):
            await ask(0.01)
        assert house.models["b"].state == "loading"
        engines.may_open.set()
        return await ask(None)

    assert asyncio.run(in_haste()) == "b"
    assert engines.tried == 1, "what was begun for the hasty one was for the next"
    assert house.models["b"].loans == 0


def test_whether_models_can_be_there_together_is_known_before_they_are_loaded(engines: Engines) -> None:
    house = engines.house(max_bytes=2 * WEIGHT)
    assert house.excess(["a", "b", "a"]) is None
    assert house.excess([None, "b", "c"]) == (
        "the weights of a, b, c take 30 bytes, and those of all models together may take 20 "
        "(DEMUR_MAX_MODEL_BYTES)"
    )
    assert house.excess(["b", "c"]) is None
    house.keep_default()
    assert house.excess(["b", "c"]) is not None, "the default stays"
    assert engines.house().excess(["a", "b", "c"]) is None
    assert engines.tried == 1


def test_a_service_that_stops_waits_for_nobody_who_waits_for_memory(engines: Engines, tmp_path: Path) -> None:
    """Its comparison would have got a model once another is returned, an hour later at most."""
    house = engines.house(max_bytes=WEIGHT, max_wait_seconds=3600)
    service = Service(Settings(checkpoint=tmp_path, comparisons=tmp_path / "kept"), Metrics(), house)
    ended: list[BaseException] = []

    def wait_for_b() -> None:
        try:
            use(house, "b")
        except EngineStoppedError as error:
            ended.append(error)

    with house.lend_to_thread("a"):
        waiting = threading.Thread(target=wait_for_b)
        waiting.start()
        while house.models["b"].loans == 0:
            time.sleep(0.001)
        with pytest.MonkeyPatch.context() as patch:
            # The comparison that waits is what is joined.
            patch.setattr(service.comparisons, "stop", lambda: waiting.join(60))
            patch.setattr(house, "close", lambda: None)  # the engine is that of other tests too
            service.stop()
        assert not waiting.is_alive()
    assert len(ended) == 1


def test_an_error_that_many_get_does_not_keep_what_they_asked(engines: Engines) -> None:
    engines.broken = "b"
    house = engines.house(retry_seconds=3600)
    depths: list[int] = []
    for _ in range(5):
        with pytest.raises(ArtifactError) as told:
            use(house, "b")
        depths.append(len(traceback.extract_tb(told.value.__traceback__)))
    assert engines.tried == 1
    assert len(set(depths[1:])) == 1
