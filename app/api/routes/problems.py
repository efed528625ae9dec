"""GET /v1/problems and POST /v1/problems/check: problems to try a model on, and a judge of solutions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api import problem_drawing
from app.api.answers import JsonAnswer
from app.api.body import StrictJsonRoute, size_of
from app.api.errors import ERROR_RESPONSES
from app.api.pieces import json_of
from app.api.schemas.catalogue import ErrorEnvelope
from app.api.schemas.problems import CheckOut, CheckRequest, ProblemList, ProblemQuery
from app.api.service import service_of, serving_of, serving_of_query
from app.api.serving import Serving

router = APIRouter(route_class=StrictJsonRoute, tags=["problems"])

_ERRORS = {status: ERROR_RESPONSES[status] for status in (400, 503, "default")} | {
    404: {"model": ErrorEnvelope, "description": "The served model has no corpus: code `no_corpus`."}
}


@router.get("/v1/problems", response_model=ProblemList, responses=_ERRORS)
async def draw(
    request: Request,
    query: Annotated[ProblemQuery, Query()],
    serving: Annotated[Serving, Depends(serving_of_query)],
) -> Response:
    """Problems of the corpus that the served model was trained on, each with its graph and a right solution.

    The same query gives the same problems, and they are those that a comparison and `demur evaluate` draw.
    """
    corpus = problem_drawing.served_corpus(serving)
    off_loop = service_of(request).off_loop
    return JsonAnswer(await off_loop.draw(lambda: json_of(problem_drawing.draw(corpus, query))))


@router.post("/v1/problems/check", response_model=CheckOut, responses=_ERRORS)
async def check(
    request: Request, body: CheckRequest, serving: Annotated[Serving, Depends(serving_of)]
) -> Response:
    """Judge a solution step by step, as the corpus checker does; any two texts give a verdict."""
    corpus = problem_drawing.served_corpus(serving)
    content = await service_of(request).off_loop.read(
        await size_of(request), lambda: json_of(problem_drawing.check(corpus, body.prompt, body.completion))
    )
    return JsonAnswer(content)
