"""From data to a model, or to the answer that says what is wrong with it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.api.errors import ApiError
from app.invalid import first_complaint, show

Model = TypeVar("Model", bound=BaseModel)


def validated(data: object, model: type[Model]) -> Model:
    """The body as its model, which also gives the meaning and range of a field, from its description.

    Raises:
        ApiError: the first thing that is wrong with it.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        complaint = first_complaint(error.errors(include_url=False), data, model)
        if complaint is None:
            raise ApiError(
                f"The body is {show(data)}; it must be a JSON object with the route's fields",
                code="invalid_type",
            ) from error
        raise ApiError(complaint.message, param=complaint.param, code=complaint.code) from error


def of_query(error: RequestValidationError, model: type[BaseModel] | None) -> ApiError:
    """The first thing that is wrong with a request's query."""
    # FastAPI puts "query" in front of where pydantic found the mistake.
    within: list[Mapping[str, Any]] = [{**each, "loc": tuple(each["loc"])[1:]} for each in error.errors()]
    data = {each["loc"][0]: each["input"] for each in within if each["type"] != "missing"}
    complaint = first_complaint(within, data, model)
    assert complaint is not None, "a query is an object"
    return ApiError(complaint.message, param=complaint.param, code=complaint.code)
