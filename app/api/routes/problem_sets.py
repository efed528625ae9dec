"""GET /v1/problem_sets: what a comparison can be run on, beside problems of one's own."""

from fastapi import APIRouter, Request, Response

from app.api.answers import JsonAnswer
from app.api.body import StrictJsonRoute
from app.api.errors import ERROR_RESPONSES
from app.api.pieces import json_of
from app.api.schemas.problems import ProblemSetList, ProblemSetOut
from app.api.service import service_of
from app.compare.problem_sets.catalogue import (
    SetExample,
    corpus_example,
    examples_of,
    gym_is_installed,
    problem_set_named,
    problem_sets,
)
from app.compare.problem_sets.sources import GymProblems
from app.compare.problems import Allowance

router = APIRouter(route_class=StrictJsonRoute, tags=["problems"])

_ERRORS = {status: ERROR_RESPONSES[status] for status in (400, 503, "default")}


@router.get("/v1/problem_sets", response_model=ProblemSetList, responses=_ERRORS)
async def list_all(request: Request) -> Response:
    """The problem sets, with their settings: what `problems` of a comparison may name."""

    def listed() -> ProblemSetList:
        return ProblemSetList(data=problem_sets(), reasoning_gym=gym_is_installed())

    return JsonAnswer(await service_of(request).off_loop.draw(lambda: json_of(listed())))


@router.get("/v1/problem_sets/{name}", response_model=ProblemSetOut, responses=_ERRORS)
async def show(request: Request, name: str) -> Response:
    """A problem set, with an example at its usual settings."""

    def shown() -> ProblemSetOut:
        about = problem_set_named(name)
        return ProblemSetOut(**about.model_dump(), example=_example(about.name, about.source))

    return JsonAnswer(await service_of(request).off_loop.draw(lambda: json_of(shown())))


def _example(name: str, source: str) -> SetExample:
    if source == "corpus":
        return corpus_example(name, seed=0)
    [example] = examples_of(
        GymProblems(source="reasoning_gym", name=name, count=1), 0, Allowance().draw_seconds
    )
    return example
