"""What the routes work with: the settings, the metrics and, once loaded, the model and its engine."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from fastapi import Request

from app.api.errors import draining, model_not_found, not_ready
from app.api.metrics import Metrics
from app.api.middleware import key_in
from app.api.offloop import OffLoop
from app.api.schemas.catalogue import Health
from app.compare.server.comparisons import Comparisons
from app.decoding.calibration.calibration import SignalCalibration
from app.engine.engine import Engine
from app.settings import Settings
from models.checkpoint import LoadedCheckpoint
from probes.store import StoredProbe


@dataclass(frozen=True)
class Serving:
    """A loaded checkpoint with its probes and calibration, and the running engine that decodes with them."""

    checkpoint: LoadedCheckpoint
    engine: Engine
    probes: tuple[StoredProbe, ...] = ()
    calibration: SignalCalibration | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def name(self) -> str:
        """The model's name in requests and answers."""
        return self.checkpoint.model.spec.name

    @property
    def fingerprint(self) -> str:
        """Tells apart the weights, config and tokenizers that texts were made with."""
        return f"fp_{self.checkpoint.identity.weights[:12]}"

    def require_model(self, name: str | None) -> None:
        """Raise `ApiError` 404 unless `name` is this model or left out."""
        if name is not None and name != self.name:
            raise model_not_found(name, self.name)


class Service:
    """The one mutable object of the HTTP layer: `app.main` fills it in when the model is there.

    give_up: called with the reason when there is no point in going on; whoever runs the server may end it.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.off_loop = OffLoop()
        self.comparisons = Comparisons(settings.comparisons)
        metrics.watch_comparisons(self.comparisons.counts)
        self.serving: Serving | None = None
        self.failure: str | None = None
        self.draining = False
        self.give_up: Callable[[str], None] = _stay

    def ready(self) -> Serving:
        """The loaded model.

        Raises:
            ApiError: 503 while it is being loaded, if that failed, or once the server is stopping.
        """
        if self.draining:
            raise draining(self.settings.drain_seconds)
        if self.failure is not None:
            raise not_ready(f"The model could not be loaded: {self.failure}")
        if self.serving is None:
            raise not_ready("The model is being loaded; try again in a moment")
        return self.serving

    def drain(self) -> None:
        """Take nothing new from now on; what has begun goes on."""
        self.draining = True

    def stop(self) -> None:
        """Leave comparisons to the next start, end every generation with an error, and take no more."""
        self.off_loop.close()
        self.comparisons.stop()
        if self.serving is not None:
            self.serving.engine.stop()

    def health(self) -> Health:
        """Loading, ok, or beyond repair."""
        if self.failure is not None:
            return Health(status="failed", detail=self.failure)
        if self.serving is None:
            return Health(status="loading", detail="The model is being loaded.")
        if not self.serving.engine.running:
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
    service.ready()
    return service.comparisons


def serving_of(request: Request) -> Serving:
    """The loaded model behind a request; a dependency of routes that need it."""
    return service_of(request).ready()


def client_of(request: Request) -> str:
    """Whose request it is: a name made of the key that it brings, '' where no keys are asked for."""
    if service_of(request).settings.api_key is None:
        return ""
    return sha256(key_in(request.headers.get("authorization", "")) or b"").hexdigest()


def request_id_of(request: Request) -> str:
    """The id that the answer carries as x-request-id."""
    request_id: str = request.state.request_id
    return request_id


def new_id(prefix: str) -> str:
    """A fresh id such as `cmpl-1f0c...`."""
    return f"{prefix}-{secrets.token_hex(12)}"


def new_seed() -> int:
    """A seed for a request that brings none; small enough to be exact as a JavaScript number."""
    return secrets.randbits(48)
