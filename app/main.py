"""The web application: `uvicorn --factory app.main:create_app`, or `demur serve`."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from app.api.compared_models import HouseLender
from app.api.connection import protocol
from app.api.errors import log_what_is_not_told, to_api_error
from app.api.hosts import HostGate, names_of
from app.api.key_gate import KeyGate, protected_paths
from app.api.key_ring import KeyRing
from app.api.methods import Methods, allowed_methods
from app.api.metrics import Metrics
from app.api.middleware import BodyTimeout, RequestContext
from app.api.model_house import ModelHouse
from app.api.rate_limits import RATE_LIMIT_HEADERS
from app.api.request_record import record_of
from app.api.routes import (
    catalogue,
    chat,
    compare,
    completions,
    findings,
    operations,
    problem_sets,
    problems,
    score,
    web,
)
from app.api.service import Service
from app.api.serving import Serving
from app.api.tracing import telemetry
from app.decoding.calibration.calibration import read_calibration
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.errors import CalibrationError, ComparisonFolderError, DemurError
from app.garbage import collect_when_idle, collected_when_told
from app.redaction import without_folders
from app.settings import ModelSource, Settings, load_settings
from models import checkpoint
from models.weight_files import weight_bytes
from probes.errors import ProbesError
from probes.store import load_all

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

log = logging.getLogger(__name__)

_RETRY_SECONDS = 10.0
"""How long a model that could not be loaded is not tried again: that may take a minute, for every request."""


def create_app(settings: Settings | None = None, tracer_provider: "TracerProvider | None" = None) -> FastAPI:
    """The application. It answers at once, and with 503 until the checkpoint is loaded.

    tracer_provider: who takes the traces, if they are asked for; else who the OTEL_ variables name.

    Raises:
        SettingsError: an environment variable has a value that is not allowed.
        KeysError: the file of API keys cannot be used.
    """
    settings = settings or load_settings()
    service = Service(settings, Metrics(), house_of(settings))
    app = FastAPI(
        title="demur",
        version=version("demur"),
        summary="A sampling service for language models that know when they are unsure.",
        lifespan=_lifespan,
        telemetry=telemetry(settings, tracer_provider),
        openapi_url=None,  # and no pages, which would load scripts from the network: see routes.operations
        # A comparison is read as it is written: one schema each, under its own name.
        separate_input_output_schemas=False,
    )
    app.state.service = service
    app.state.protocol = protocol(settings)  # of connections, for whoever runs uvicorn
    for routes in (
        completions,
        chat,
        score,
        problems,
        problem_sets,
        compare,
        findings,
        catalogue,
        operations,
        web,
    ):
        app.include_router(routes.router)
    app.add_exception_handler(DemurError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_error)
    # What is added last is outermost.
    app.add_middleware(BodyTimeout, seconds=settings.body_timeout_seconds)
    app.add_middleware(Methods)
    ring = KeyRing.of(settings)
    if ring is not None:
        app.add_middleware(KeyGate, ring=ring, protected=protected_paths(settings))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after", *RATE_LIMIT_HEADERS],
        )
    app.add_middleware(HostGate, names=names_of(settings))
    app.add_middleware(RequestContext, metrics=service.metrics, tracing=settings.tracing)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    loading = asyncio.create_task(_load(service))
    try:
        yield
    finally:
        loading.cancel()
        await asyncio.to_thread(service.stop)


async def _load(service: Service) -> None:
    """Load the first model beside the event loop. A failure is reported by the health routes and the log."""
    source = service.settings.sources[0]
    try:
        serving = await asyncio.to_thread(service.house.keep_default)
    except (CalibrationError, ProbesError) as error:
        log.error("cannot serve: %s", error)
        service.failure = without_folders(str(error))
        service.give_up(str(error))
        return
    except Exception as error:
        log.exception("cannot load the checkpoint %s", source.checkpoint)
        service.failure = without_folders(f"{type(error).__name__}: {error}")
        return
    with collected_when_told():
        service.is_ready = True
        log.info("serving %s from %s", serving.name, source.checkpoint)
        await asyncio.to_thread(_go_on_comparing, service)
        await collect_when_idle(service.metrics.idle_seconds)


def _go_on_comparing(service: Service) -> None:
    """Take comparisons from now on. A folder that cannot be used concerns nobody who compares nothing."""
    try:
        service.comparisons.start(HouseLender(service.house))
    except ComparisonFolderError as error:
        log.warning("no comparisons: %s", error)


def house_of(settings: Settings) -> ModelHouse:
    """The models that the settings name, none of which is open yet."""

    def open_model(source: ModelSource) -> Serving:
        its = {
            "checkpoint": source.checkpoint,
            "probes": source.probes,
            "no_probes": source.probes is None,
        }
        return replace(start_engine(settings.model_copy(update=its)), name=source.name)

    return ModelHouse(
        settings.sources,
        open_model,
        lambda source: weight_bytes(source.checkpoint, settings.dtype, settings.device),
        settings.max_model_bytes,
        settings.max_queue_seconds,
        _RETRY_SECONDS,
    )


def start_engine(settings: Settings) -> Serving:
    """Load the checkpoint, its calibration and its probes, and start the engine that decodes with them.

    Raises:
        ModelsError: the checkpoint is missing, damaged or inconsistent.
        CalibrationError: its calibration is damaged, or was measured on another checkpoint.
        ProbesError: a probe is damaged, or was fitted on another checkpoint.
    """
    loaded = checkpoint.load(
        settings.checkpoint, settings.device, settings.dtype, settings.kernel, settings.compile
    )
    if loaded.tokenizer.chat_template is not None:
        loaded.tokenizer.chat_template.check()  # so that a broken one is told now
    limits = EngineLimits(
        max_rows=settings.max_rows,
        max_waiting=settings.max_waiting,
        max_queue_seconds=settings.max_queue_seconds,
        max_choices=settings.max_choices,
        max_context=settings.max_context,
        prefix_cache_bytes=settings.prefix_cache_bytes,
    )
    probes = tuple(load_all(settings.probes_folder, loaded))
    calibration = read_calibration(settings.checkpoint, loaded.identity)
    engine = Engine(loaded, limits, [stored.probe for stored in probes], calibration)
    engine.start()
    return Serving(loaded.model.spec.name, loaded, engine, probes, calibration)


async def _answer_error(request: Request, error: Exception) -> Response:
    record = record_of(request)
    if isinstance(error, HTTPException) and error.status_code == 405:
        error = HTTPException(405, headers={"Allow": ", ".join(allowed_methods(request.scope))})
    log_what_is_not_told(error, record.id)
    return record.failing(to_api_error(error, record.id)).response()
