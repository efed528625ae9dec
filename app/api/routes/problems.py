"""GET /v1/problems and POST /v1/problems/check: problems to try a model on, and a judge of solutions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.api import problems
from app.api.body import StrictJsonRoute
from app.api.errors import ERROR_RESPONSES
from app.api.schemas.catalogue import ErrorEnvelope
from app.api.schemas.problems import CheckOut, CheckRequest, ProblemList, ProblemQuery
from app.api.service import Serving, serving_of

router = APIRouter(route_class=StrictJsonRoute, tags=["problems"])

_ERRORS = {status: ERROR_RESPONSES[status] for status in (400, 503, "default")} | {
    404: {"model": ErrorEnvelope, "description": "The served model has no corpus: code `no_corpus`."}
}

# Both are plain functions, so that FastAPI runs them in a thread: a thousand problems take a while to draw.


@router.get("/v1/problems", responses=_ERRORS)
def draw(
    query: Annotated[ProblemQuery, Query()], serving: Annotated[Serving, Depends(serving_of)]
) -> ProblemList:
    """Problems of the corpus that the served model was trained on, each with its graph and a right solution.

    The same query gives the same problems, and they are those that a comparison and `demur evaluate` draw.
    """
    return problems.draw(problems.corpus_of(serving), query)


@router.post("/v1/problems/check", responses=_ERRORS)
def check(body: CheckRequest, serving: Annotated[Serving, Depends(serving_of)]) -> CheckOut:
    """Judge a solution step by step, as the corpus checker does; any two texts give a verdict."""
    return problems.check(problems.corpus_of(serving), body.prompt, body.completion)
