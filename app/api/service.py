"""What the routes work with: the settings, the metrics, and the models with their engines."""

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Query, Request

from app.api.deadline import spend, timeout_of
from app.api.errors import draining, not_ready
from app.api.metrics import Metrics
from app.api.model_house import ModelHouse
from app.api.offloop import OffLoop
from app.api.request_record import record_of
from app.api.schemas.catalogue import Health
from app.api.serving import Serving
from app.compare.server.comparisons import Comparisons
from app.settings import Settings

ModelQuery = Annotated[
    str | None, Query(description="One of the names of GET /v1/models; else the first of them.")
]
"""Of routes that say what a model can do."""


class Service:
    """The one mutable object of the HTTP layer.

    Attributes:
        is_ready: whether the default model has been loaded; `app.main` says so.
        failure: why it could not be.
        give_up: called with the reason when there is no point in going on; whoever runs the server may end
            it.
    """

    def __init__(self, settings: Settings, metrics: Metrics, house: ModelHouse | None = None) -> None:
        """Without a house there are no models, so it never gets ready."""
        self.settings = settings
        self.metrics = metrics
        self.house = house or ModelHouse.empty()
        self.off_loop = OffLoop()
        self.comparisons = Comparisons(settings.comparisons)
        metrics.watch_comparisons(self.comparisons.counts)
        metrics.watch_models(self.house.models)
        self.is_ready = False
        self.failure: str | None = None
        self.draining = False
        self.give_up: Callable[[str], None] = _stay

    @property
    def serving(self) -> Serving | None:
        """The default model, once it has been loaded and while it is open."""
        return self.house.find(None).serving if self.is_ready else None

    def require_ready(self) -> None:
        """Whether requests are taken.

        Raises:
            ApiError: 503 while the default model is being loaded, if that failed, or once the server is
                stopping.
        """
        if self.draining:
            raise draining(self.settings.drain_seconds)
        if self.failure is not None:
            raise not_ready(f"The model could not be loaded: {self.failure}", param="model")
        if not self.is_ready:
            raise not_ready("The model is being loaded; try again in a moment")

    def drain(self) -> None:
        """Take nothing new from now on; what has begun goes on."""
        self.draining = True

    def stop(self) -> None:
        """Leave comparisons to the next start, end every generation with an error, and take no more."""
        self.off_loop.close()
        self.house.lend_no_more()  # a comparison may be waiting for a model
        self.comparisons.stop()
        self.house.close()

    def health(self) -> Health:
        """Loading, ok, or beyond repair."""
        if self.failure is not None:
            return Health(status="failed", detail=self.failure)
        if not self.is_ready:
            return Health(status="loading", detail="The model is being loaded.")
        if not all(serving.engine.running for serving in self.house.open()):
            return Health(status="failed", detail="The decoding engine has stopped.")
        if self.draining:
            return Health(status="draining", detail="The server is stopping.")
        return Health(status="ok")


def _stay(_: str) -> None:
    """The health routes go on telling what is wrong."""


def service_of(request: Request) -> Service:
    """The service behind a request."""
    service: Service = request.app.state.service
    return service


def comparisons_of(request: Request) -> Comparisons:
    """The server's comparisons; a dependency of routes that work with them.

    Raises:
        ApiError: 503 while the model is being loaded, or if that failed.
    """
    service = service_of(request)
    service.require_ready()
    return service.comparisons


@asynccontextmanager
async def _lend(request: Request, name: str | None, timeout: float | None = None) -> AsyncGenerator[Serving]:
    """A model until the answer is out. timeout: of the request, the server's if None.

    Raises:
        RequestError: there is none of this name.
        ApiError: 400, the timeout is longer than the server allows; 503, there is no model yet, or it cannot
            be loaded.
        DeadlineError: it is not loaded in time.
        OverloadedError: there is no memory for it beside those that are in use.
    """
    service = service_of(request)
    service.require_ready()
    seconds = timeout_of(timeout, service.settings)
    was_loaded, begun = service.house.find(name).serving is not None, time.monotonic()
    async with service.house.lend(name, seconds) as serving:
        spend(request, seconds, 0.0 if was_loaded else time.monotonic() - begun)
        yield serving


# Dependencies of routes that work with a model: what they raise is what `_lend` does.


async def serving_of(request: Request) -> AsyncGenerator[Serving]:
    """The model that the body's `model` names, or else the default."""
    body = await request.json()
    async with _lend(request, body.model, getattr(body, "timeout", None)) as serving:
        yield serving


def require_room_for_any(request: Request) -> None:
    """Refuse a request, whatever its body says, that the only model's engine would refuse for its line: when
    there is most to do, nothing is spent on what cannot begin. With more models, or none yet, this does
    nothing: the body's `model` has to be read first.

    Raises:
        OverloadedError: what the engine would raise.
    """
    service = service_of(request)
    serving = None if service.draining or len(service.house.models) > 1 else service.serving
    if serving is not None:
        record_of(request).model = serving.name
        serving.engine.require_room(client_of(request))


async def serving_with_room(request: Request, serving: Annotated[Serving, Depends(serving_of)]) -> Serving:
    """`serving_of`, for what its engine is to do. Whoever would be refused for the line is refused before the
    texts are read.

    Raises:
        OverloadedError: what the engine would raise.
    """
    record_of(request).model = serving.name
    serving.engine.require_room(client_of(request))
    return serving


async def serving_of_query(request: Request) -> AsyncGenerator[Serving]:
    """The model that the query names, of a route whose query is a form with a field `model`."""
    async with _lend(request, request.query_params.get("model")) as serving:
        yield serving


async def serving_of_name(request: Request, model: ModelQuery = None) -> AsyncGenerator[Serving]:
    """The model that the query names, of a route whose query has nothing else."""
    async with _lend(request, model) as serving:
        yield serving


def client_of(request: Request) -> str:
    """Whose request it is: the name of the key that it brings, '' where no keys are asked for."""
    return record_of(request).key


def new_id(prefix: str) -> str:
    """A fresh id such as `cmpl-1f0c...`."""
    return f"{prefix}-{secrets.token_hex(12)}"


def new_seed() -> int:
    """A seed for a request that brings none; small enough to be exact as a JavaScript number."""
    return secrets.randbits(48)
