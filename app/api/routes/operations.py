"""GET /health/live, /health/ready, /metrics and /docs: for whoever runs the service."""

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from app.api import reference
from app.api.errors import draining
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
    application: FastAPI = request.app
    return HTMLResponse(reference.render(application.openapi()))
