"""The bodies of /v1/compare."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.compare.outcome import Outcome
from app.compare.state import ComparisonStatus, Status

MAX_RESULTS = 10_000


class ComparisonList(BaseModel):
    """Answer of GET /v1/compare."""

    object: Literal["list"] = "list"
    data: list[ComparisonStatus] = Field(description="The newest first.")


class ResultQuery(BaseModel):
    """Query of GET /v1/compare/{id}/results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(
        default=0, ge=0, description="Leave out so many of the first outcomes: `next` of the answer before."
    )
    limit: int = Field(
        default=1000, ge=1, le=MAX_RESULTS, description=f"Most outcomes to return, 1 to {MAX_RESULTS}."
    )


class ResultList(BaseModel):
    """Answer of GET /v1/compare/{id}/results."""

    object: Literal["list"] = "list"
    data: list[Outcome] = Field(description="Outcomes in the order in which they came.")
    next: int = Field(description="The `after` that goes on from here.")
    status: Status = Field(description="Of the comparison: while it is queued or running there may be more.")


class Deleted(BaseModel):
    """Answer of DELETE /v1/compare/{id}."""

    id: str
    object: Literal["comparison"] = "comparison"
    deleted: bool = True
