"""The models of a server by name: opened when first needed, let go when another needs the memory."""

import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NoReturn

from app.api.errors import model_not_found
from app.api.housed_model import HousedModel, failed, opened
from app.api.serving import Serving, facts_of
from app.errors import EngineStoppedError, OverloadedError
from app.settings import ModelSource
from models.errors import CapacityError, ModelsError

log = logging.getLogger(__name__)


class ModelHouse:
    """Opens, lends and closes models, the first of which is the default. For any thread.

    One is opened at a time. What is lent is never closed: where memory is short, those that nobody uses go,
    the one that was returned first before all others.
    """

    def __init__(
        self,
        sources: Sequence[ModelSource],
        open_model: Callable[[ModelSource], Serving],
        weigh: Callable[[ModelSource], int],
        max_bytes: int | None = None,
        max_wait_seconds: float = 60,
        retry_seconds: float = 0,
    ) -> None:
        """
        Args:
            open_model: loads a model and starts its engine.
            weigh: bytes that a model's weights will take, by its files.
            max_bytes: most bytes of the weights of all open models; None is no limit.
            max_wait_seconds: how long to wait for others to be returned where memory is short.
            retry_seconds: how long one that could not be opened is not tried again.
        """
        self.models = {source.name: HousedModel(source) for source in sources}
        self._open_model = open_model
        self._weigh = weigh
        self._max_bytes = max_bytes
        self._max_wait_seconds = max_wait_seconds
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="demur-open")
        self._closed = False
        self._default_stays = False

    @classmethod
    def empty(cls) -> "ModelHouse":
        """One without models."""

        def refuse(source: ModelSource) -> NoReturn:
            raise model_not_found(source.name, ())

        return cls((), refuse, refuse)

    @property
    def default(self) -> str:
        """The model of requests that name none."""
        return next(iter(self.models))

    def find(self, name: str | None) -> HousedModel:
        """A model by name, the default without one.

        Raises:
            RequestError: there is none.
        """
        found = self.models.get(self.default if name is None else name)
        if found is None:
            raise model_not_found(str(name), tuple(self.models))
        return found

    def excess(self, names: Iterable[str | None]) -> str | None:
        """Why these models cannot be open together, beside the default if that is kept; None if they can."""
        if self._max_bytes is None:
            return None
        needed = {each.source.name: each for each in map(self.find, names)}
        if self._default_stays:
            needed[self.default] = self.find(None)
        weight_bytes = sum(map(self._weight, needed.values()))
        if weight_bytes <= self._max_bytes:
            return None
        these = ", ".join(needed)
        return (
            f"the weights of {these} take {weight_bytes} bytes, and those of all models together may take "
            f"{self._max_bytes} (DEMUR_MAX_MODEL_BYTES)"
        )

    @asynccontextmanager
    async def lend(self, name: str | None, seconds: float | None = None) -> AsyncGenerator[Serving]:
        """A model for as long as the caller needs it. It is opened first if it is not there, for which the
        caller waits so many seconds at most.

        Raises:
            DeadlineError: it takes longer than that.
            RequestError: there is none of this name.
            ApiError: 503, it cannot be loaded.
            OverloadedError: others are in use, and there is no memory for one more.
            EngineStoppedError: the house is closed.
        """
        model, opening = self._borrow(name)
        try:
            if opening is not None:
                await opened(opening, model, seconds)
            yield self._serving(model)
        finally:
            self._return(model)

    @contextmanager
    def lend_to_thread(self, name: str | None = None) -> Generator[Serving]:
        """As `lend`, for a thread that may wait. Raises whatever loading the model raises."""
        model, opening = self._borrow(name)
        try:
            if opening is not None:
                opening.result()
            yield self._serving(model)
        finally:
            self._return(model)

    def keep_default(self) -> Serving:
        """The default model, which is never let go from now on. Raises whatever loading it raises."""
        with self.lend_to_thread() as serving:
            self._borrow(None)
            self._default_stays = True
            return serving

    def open(self) -> list[Serving]:
        """The models that are open now."""
        there = [model.serving for model in self.models.values()]
        return [serving for serving in there if serving is not None]

    def lend_no_more(self) -> None:
        """Open nothing more, and send away whoever waits for memory."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._opener.shutdown(wait=False)

    def close(self) -> None:
        """Stop every engine too."""
        self.lend_no_more()
        for serving in self.open():
            serving.engine.stop()

    def _borrow(self, name: str | None) -> tuple[HousedModel, Future[None] | None]:
        """Count one more who uses a model, and begin to open it if it is closed. Returns what to wait for
        too: once the lock is free, the model may not be `opening` any more, whether it is open or failed."""
        model = self.find(name)
        with self._changed:
            self._require_open()
            opening = model.opening
            if model.serving is None and opening is None:
                if model.failure is not None and time.monotonic() < model.retry_at:
                    opening = failed(model.failure)
                else:
                    opening = model.opening = self._opener.submit(self._open, model)
            model.loans += 1
            return model, opening

    def _require_open(self) -> None:
        """Raise `EngineStoppedError` once the house is closed."""
        if self._closed:
            raise EngineStoppedError("The server is stopping.")

    def _serving(self, model: HousedModel) -> Serving:
        """What was opened for a borrower stays open."""
        assert model.serving is not None
        return model.serving

    def _return(self, model: HousedModel) -> None:
        with self._changed:
            model.loans -= 1
            model.returned = time.monotonic()
            self._changed.notify_all()

    def _open(self, model: HousedModel) -> None:
        """In the thread that opens one after the other."""
        name = model.source.name
        try:
            self._require_open()
            if self._max_bytes is not None:
                self._make_room(name, self._weigh(model.source), self._max_bytes)
            begun = time.monotonic()
            serving = self._open_model(model.source)
            weight_bytes = self._weigh(model.source)
            with self._changed:
                model.serving, model.facts, model.weight_bytes = serving, facts_of(serving), weight_bytes
                model.loads, model.load_seconds = model.loads + 1, time.monotonic() - begun
                model.failure = None
                stopping = self._closed
            if stopping:
                serving.engine.stop()
            log.info("opened %s in %.1f s, %.0f MB of weights", name, model.load_seconds, weight_bytes / 1e6)
        except (OverloadedError, EngineStoppedError):
            raise
        except Exception as error:
            with self._changed:
                model.failure, model.retry_at = error, time.monotonic() + self._retry_seconds
            raise
        finally:
            with self._changed:
                model.opening = None

    def _make_room(self, name: str, weight_bytes: int, most: int) -> None:
        """Close models that nobody uses until one more of this size may be opened.

        Raises:
            CapacityError: it is larger than all may be together.
            OverloadedError: the others are in use.
            EngineStoppedError: the house is closed.
        """
        if weight_bytes > most:
            raise CapacityError(
                f"its weights take {weight_bytes} bytes, and those of all models together may take {most} "
                "(DEMUR_MAX_MODEL_BYTES)"
            )

        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._taken(only_lent=True) + weight_bytes <= most,
                self._max_wait_seconds,
            )
            self._require_open()
            if self._taken(only_lent=True) + weight_bytes > most:
                raise OverloadedError(
                    f"There is no memory for {name} beside the models that are in use "
                    f"(DEMUR_MAX_MODEL_BYTES is {most})."
                )
            closed: list[Serving] = []
            idle = [model for model in self.models.values() if not model.loans]
            for model in sorted(idle, key=lambda each: each.returned):
                if model.serving is not None and self._taken() + weight_bytes > most:
                    closed.append(model.serving)
                    model.serving = None
        for serving in closed:
            serving.engine.stop()
            log.info("closed %s to make room for %s", serving.name, name)

    def _weight(self, model: HousedModel) -> int:
        """Bytes of a model's weights; 0 where its files do not tell, so that it cannot be loaded either."""
        with suppress(ModelsError):
            return model.weight_bytes or self._weigh(model.source)
        return 0

    def _taken(self, *, only_lent: bool = False) -> int:
        """Bytes of the weights of all open models, or of those that somebody uses."""
        return sum(
            model.weight_bytes
            for model in self.models.values()
            if model.serving is not None and (model.loans or not only_lent)
        )
