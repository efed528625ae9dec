"""From FastAPI's account of a bad request to the answer that says what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.errors import ApiError
from app.invalid import first_complaint, show


def of_validation(
    error: RequestValidationError,
    body_model: type[BaseModel] | None,
    query_model: type[BaseModel] | None = None,
) -> ApiError:
    """The first thing that is wrong with a request.

    The models give the meaning and range of a field, from its description.
    """
    details: Sequence[Mapping[str, Any]] = error.errors()
    # FastAPI puts "body" or "query" in front of where pydantic found the mistake.
    within = [{**detail, "loc": tuple(detail["loc"])[1:]} for detail in details]
    if tuple(details[0]["loc"])[:1] == ("query",):
        data: Any = {each["loc"][0]: each["input"] for each in within if each["type"] != "missing"}
        complaint = first_complaint(within, data, query_model)
    else:
        data = error.body
        complaint = first_complaint(within, data, body_model)
    if complaint is None:
        return ApiError(
            f"The body is {show(data)}; it must be a JSON object with the route's fields",
            code="invalid_value",
        )
    code = "missing_field" if complaint.missing else "invalid_value"
    return ApiError(complaint.message, param=complaint.param, code=code)
