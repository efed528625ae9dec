"""GET /health/live, /health/ready, /metrics, /docs and /openapi.json: for whoever runs the service."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from app.api import reference
from app.api.errors import draining
from app.api.problem_drawing import describe_corpus
from app.api.schemas.catalogue import Health
from app.api.service import service_of

router = APIRouter(tags=["operations"])


@router.get("/health/live", responses={503: {"model": Health}})
async def live(request: Request, response: Response) -> Health:
    """Whether the process works; 503 once only a restart can help."""
    health = service_of(request).health()
    if health.status != "failed":
        return Health(status="ok")
    response.status_code = 503
    return health


@router.get("/health/ready", responses={503: {"model": Health}})
async def ready(request: Request, response: Response) -> Health:
    """Whether the model is loaded; 503 until then."""
    service = service_of(request)
    health = service.health()
    if health.status != "ok":
        response.status_code = 503
    if health.status == "draining":
        response.headers.update(draining(service.settings.drain_seconds).headers)
    return health


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    service = service_of(request)
    return Response(service.metrics.render(), headers={"content-type": service.metrics.content_type})


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The routes and their fields, for people."""
    return HTMLResponse(reference.render(await _document(request)))


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The same for programs."""
    document, root = await _document(request), request.scope.get("root_path", "").rstrip("/")
    return JSONResponse({**document, "servers": [{"url": root}]} if root else document)


async def _document(request: Request) -> Mapping[str, Any]:
    """The OpenAPI document, with the limits that the served model sets.

    It takes as long to make as everything else that a start does beside imports, so it is made for who first
    asks, beside the event loop. FastAPI keeps it.
    """
    application: FastAPI = request.app
    service = service_of(request)
    document = application.openapi_schema or await service.off_loop.draw(application.openapi)
    if service.serving is not None:
        describe_corpus(document, service.serving)
    return document
