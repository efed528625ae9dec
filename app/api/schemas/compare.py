"""The bodies of /v1/compare."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.compare.outcome import LatencySample, Outcome
from app.compare.server.state import ComparisonStatus, Status

MAX_PAGE = 10_000


class ComparisonList(BaseModel):
    """Answer of GET /v1/compare."""

    object: Literal["list"] = "list"
    data: list[ComparisonStatus] = Field(description="The newest first.")


MAX_AFTER = 2**53 - 1
"""The largest whole number that is exact in JavaScript; no list is so long."""


class PageQuery(BaseModel):
    """Query of the lists of a comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(
        default=0,
        ge=0,
        le=MAX_AFTER,
        description="Leave out so many of the first: `next` of the answer before, or 0.",
    )
    limit: int = Field(
        default=1000,
        ge=1,
        le=MAX_PAGE,
        description=f"Most to return, 1 to {MAX_PAGE}; fewer where they are long.",
    )


class Page(BaseModel):
    """A part of a list."""

    object: Literal["list"] = "list"
    next: int = Field(description="The `after` that goes on from here.")
    status: Status = Field(description="Of the comparison: while it is queued or running there may be more.")


class ResultPage(Page):
    """Answer of GET /v1/compare/{id}/results."""

    data: list[Outcome] = Field(description="Outcomes in the order in which they came.")


class SamplePage(Page):
    """Answer of GET /v1/compare/{id}/latency."""

    data: list[LatencySample]


class ComparedProblem(BaseModel):
    """A problem as every arm gets it."""

    id: str
    group: str | None
    prompt: str
    answer: str | None


class ProblemPage(Page):
    """Answer of GET /v1/compare/{id}/problems."""

    data: list[ComparedProblem]


class Deleted(BaseModel):
    """Answer of DELETE /v1/compare/{id}."""

    id: str
    object: Literal["comparison"] = "comparison"
    deleted: bool = True
