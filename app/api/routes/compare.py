"""/v1/compare: strategies on the same problems, run in the background of everything else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.body import StrictJsonRoute
from app.api.compared_models import HouseLender
from app.api.errors import ERROR_RESPONSES, not_ready
from app.api.request_record import record_of
from app.api.schemas.catalogue import ErrorEnvelope
from app.api.schemas.compare import (
    ComparisonList,
    Deleted,
    PageQuery,
    ProblemPage,
    ResultPage,
    SamplePage,
)
from app.api.service import comparisons_of, service_of
from app.api.streaming import EventStream
from app.compare.about import About
from app.compare.folder import LATENCY_FILE, OUTCOMES_FILE, PROBLEMS_FILE, read_about
from app.compare.results import ComparisonReport
from app.compare.server.comparisons import Comparisons
from app.compare.server.job import Job
from app.compare.server.state import ComparisonStatus
from app.compare.spec import ComparisonSpec

router = APIRouter(route_class=StrictJsonRoute, tags=["compare"])

_UNKNOWN = {404: {"model": ErrorEnvelope, "description": "There is no comparison of this id."}}
_STATE = {409: {"model": ErrorEnvelope, "description": "Its state does not allow this."}}
_FOLDER = {507: {"model": ErrorEnvelope, "description": "The folder of comparisons cannot be used."}}
_ANY = {status: ERROR_RESPONSES[status] for status in (503, "default")} | _FOLDER
_ONE = _ANY | _UNKNOWN
_PAGED = _ONE | {400: ERROR_RESPONSES[400]}

Kept = Annotated[Comparisons, Depends(comparisons_of)]

_SECONDS_BETWEEN = 0.25
_SECONDS_OF_SILENCE = 10.0
"""How often progress is sent at most, and at least: silence is taken for a broken connection by many."""

_PAGE_HEADERS = {
    # The page needs its own style and nothing else; texts of models are on it.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "x-content-type-options": "nosniff",
}

# Plain functions, which FastAPI runs in a thread: they wait for the disk.


@router.post(
    "/v1/compare",
    status_code=202,
    responses=_ANY | {status: ERROR_RESPONSES[status] for status in (400, 404, 429)},
)
async def submit(request: Request, spec: ComparisonSpec, kept: Kept, response: Response) -> ComparisonStatus:
    """Compare strategies, and models by their names, on the same problems with the same seeds.

    Everything that these models or this server would refuse is refused now. The comparison then runs in the
    background, after those that wait already; live requests come first. It survives a restart of the server.
    """
    service = service_of(request)
    async with HouseLender(service.house).load(spec, service.settings.request_timeout_seconds):
        # Thousands of problems are drawn and checked.
        status = await service.off_loop.draw(lambda: kept.submit(spec))
    response.headers["location"] = f"/v1/compare/{status.id}"
    return status.model_copy(update={"warnings": list(spec.warnings)}) if spec.warnings else status


@router.get("/v1/compare", responses=_ANY)
def list_all(kept: Kept) -> ComparisonList:
    """All comparisons that the server keeps."""
    return ComparisonList(data=kept.list())


@router.get("/v1/compare/{id}", responses=_ONE)
def status(id: str, kept: Kept) -> ComparisonStatus:
    """How far a comparison is."""
    return kept.status(id)


@router.get("/v1/compare/{id}/spec", responses=_ONE)
def spec(id: str, kept: Kept) -> ComparisonSpec:
    """What it compares, with every default filled in: a body for POST /v1/compare."""
    return kept.look(id, lambda job: job.kept.spec)


@router.get("/v1/compare/{id}/about", responses=_ONE)
def about(id: str, kept: Kept) -> About:
    """What it runs on: the checkpoint, its calibration and probes, and the versions of what computes."""
    return kept.look(id, lambda job: read_about(job.kept.folder))


@router.get("/v1/compare/{id}/problems", response_model=ProblemPage, responses=_PAGED)
def problems(id: str, query: Annotated[PageQuery, Query()], kept: Kept) -> Response:
    """The problems, in the order in which they are solved."""
    return kept.look(id, partial(_page, file=PROBLEMS_FILE, query=query))


@router.get("/v1/compare/{id}/results", response_model=ResultPage, responses=_PAGED)
def results(id: str, query: Annotated[PageQuery, Query()], kept: Kept) -> Response:
    """The outcomes so far, in the order in which they came."""
    return kept.look(id, partial(_page, file=OUTCOMES_FILE, query=query))


@router.get("/v1/compare/{id}/latency", response_model=SamplePage, responses=_PAGED)
def latency(id: str, query: Annotated[PageQuery, Query()], kept: Kept) -> Response:
    """The latency samples so far: answers that were timed one at a time."""
    return kept.look(id, partial(_page, file=LATENCY_FILE, query=query))


@router.get("/v1/compare/{id}/events", response_class=Response, responses=_ONE)
async def events(id: str, request: Request, kept: Kept) -> Response:
    """Server-sent events: the status now, and whenever it has changed.

    The last one is `[DONE]` once the comparison is over, or an error.
    """
    # An unknown id is an answer, not an event.
    job = await asyncio.to_thread(kept.find, id)
    return EventStream(_progress(kept, id, job), record=record_of(request), close=lambda: None)


@router.post("/v1/compare/{id}/cancel", responses=_ONE)
def cancel(id: str, kept: Kept) -> ComparisonStatus:
    """Ask a comparison to end early; what it has found is kept. One that runs takes a moment to end."""
    return kept.cancel(id)


@router.post("/v1/compare/{id}/resume", status_code=202, responses=_ONE | _STATE)
def resume(id: str, kept: Kept) -> ComparisonStatus:
    """Let a comparison go on that was cancelled or has failed."""
    return kept.resume(id)


@router.delete("/v1/compare/{id}", responses=_ONE | _STATE)
def delete(id: str, kept: Kept) -> Deleted:
    """Remove a comparison with all that it has found, a damaged one too. One that runs has to be cancelled
    first."""
    kept.delete(id)
    return Deleted(id=id)


@router.get("/v1/compare/{id}/report.json", response_model=ComparisonReport, responses=_ONE)
def report(id: str, kept: Kept) -> Response:
    """What its outcomes so far say: accuracy, cost and latency of every arm, and how the arms differ."""
    content = kept.look(id, lambda job: job.findings.report(growing=job.state.status == "running"))
    return Response(content, media_type="application/json")


@router.get("/v1/compare/{id}/report.html", response_class=Response, responses=_ONE)
def page(id: str, kept: Kept) -> Response:
    """The report as a page with charts, which needs nothing else."""
    content = kept.look(id, lambda job: job.findings.page(growing=job.state.status == "running"))
    return Response(content, media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


def _page(job: Job, file: str, query: PageQuery) -> Response:
    """Lines of a file are JSON already, and there may be many."""
    state = job.state.status  # before the file is read, so that nothing comes after `done`
    lines = job.findings.lines(file, query.after, query.limit)
    content = b'{"object":"list","data":[%b],"next":%d,"status":"%b"}'
    filled = content % (b",".join(lines), query.after + len(lines), state.encode())
    return Response(filled, media_type="application/json")


async def _progress(kept: Comparisons, id: str, job: Job | None) -> AsyncIterator[list[ComparisonStatus]]:
    """One that is damaged (no job) has one status, which is its last."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(changed.set)

    unwatch = (lambda: None) if job is None else job.watch(wake)
    try:
        while True:
            changed.clear()
            if kept.stopping:
                raise not_ready("The server is stopping; the comparison goes on when it starts again")
            status = await asyncio.to_thread(kept.status, id)  # it may wait for the disk
            yield [status]
            if not status.unfinished:
                return
            await asyncio.sleep(_SECONDS_BETWEEN)
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _SECONDS_OF_SILENCE)
    finally:
        unwatch()
