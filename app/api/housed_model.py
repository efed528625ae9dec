"""A model of a house: whether it is open, who uses it, and how to wait for it."""

import asyncio
import logging
import time
from asyncio import shield, wrap_future
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil
from typing import Literal

from app.api.errors import not_ready
from app.api.serving import ModelFacts, Serving
from app.errors import DeadlineError, DemurError, EngineStoppedError, OverloadedError
from app.redaction import without_folders
from app.settings import ModelSource
from models.errors import ModelsError
from probes.errors import ProbesError

log = logging.getLogger(__name__)


@dataclass
class HousedModel:
    """A model of the house; it changes under the house's lock, and anybody may read it.

    Attributes:
        serving: the model, if it is open.
        opening: done when it is open, or cannot be; None when nobody is opening it.
        loans: how many use it, or wait until it is open.
        returned: when the last of them returned it, on the clock of `time.monotonic`.
        weight_bytes: what its weights take, once it was opened.
        facts: what it is, once it was opened.
        loads: how often it was opened.
        load_seconds: how long that took the last time.
        failure: why it could not be opened the last time; None if it could.
        retry_at: when somebody may try again, on the clock of `time.monotonic`.
    """

    source: ModelSource
    serving: Serving | None = None
    opening: Future[None] | None = None
    loans: int = 0
    returned: float = 0.0
    weight_bytes: int = 0
    facts: ModelFacts | None = None
    loads: int = 0
    load_seconds: float = 0.0
    failure: Exception | None = None
    retry_at: float = 0.0

    @property
    def state(self) -> Literal["loaded", "loading", "failed", "not_loaded"]:
        """What it is doing."""
        if self.serving is not None:
            return "loaded"
        if self.opening is not None:
            return "loading"
        return "not_loaded" if self.failure is None else "failed"


def failed(error: Exception) -> Future[None]:
    """What whoever waits for a model gets that cannot be opened. Each time that it is raised the error
    gathers the frames it passes, and with them the requests: those of earlier times go."""
    failed: Future[None] = Future()
    failed.set_exception(error.with_traceback(None))
    return failed


async def opened(opening: Future[None], model: HousedModel, seconds: float | None) -> None:
    """Wait until a model is open; others may wait for the same.

    Raises:
        ApiError: 503, it cannot be loaded.
        DeadlineError: it is not in time.
    """
    name = model.source.name
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await shield(wrap_future(opening))
    except (OverloadedError, EngineStoppedError):
        raise
    except Exception as error:
        if limit.expired():
            raise DeadlineError(
                f"The model {name!r} was not loaded after {seconds:.3g} s, which the request may take; it is "
                "being loaded still."
            ) from error
        known = isinstance(error, DemurError | ModelsError | ProbesError)
        log.error("cannot open %s: %s", name, error, exc_info=None if known else error)
        again = max(1, ceil(model.retry_at - time.monotonic()))
        raise not_ready(
            f"The model {name!r} cannot be loaded: {without_folders(str(error))}; it is tried again after "
            f"{again} s",
            again,
            param="model",
        ) from error
