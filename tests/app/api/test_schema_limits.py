"""The schema says what validation refuses: what it allows is refused for nothing that it could have said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from app.api.errors import ApiError
from app.api.schemas.compare import PageQuery
from app.api.schemas.generation import GenerationFields
from app.api.schemas.problems import CheckRequest, ProblemQuery
from app.api.schemas.requests import ChatRequest, CompletionRequest, ScoreRequest
from app.api.validation import validated
from app.compare.spec import ComparisonSpec
from app.errors import RequestError
from app.main import create_app
from tests.app.api.schema_bodies import values

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture)

BODIES: Mapping[str, type[BaseModel]] = {
    "/v1/completions": CompletionRequest,
    "/v1/chat/completions": ChatRequest,
    "/v1/score": ScoreRequest,
    "/v1/problems/check": CheckRequest,
    "/v1/compare": ComparisonSpec,
}
QUERIES: Mapping[str, type[BaseModel]] = {
    "/v1/problems": ProblemQuery,
    "/v1/compare/{id}/problems": PageQuery,
    "/v1/compare/{id}/results": PageQuery,
    "/v1/compare/{id}/latency": PageQuery,
}


@dataclass(frozen=True)
class Beyond:
    """A rule that a schema cannot say, by the end of its `param` and its code."""

    why: str
    param: str
    code: str


BEYOND = (
    Beyond("combinations of fields", "", "conflicting_fields"),
    Beyond("the order of samplers, each once, is a matter of the whole list", "samplers", "invalid_value"),
    Beyond("arms differ in their names", "arms", "invalid_value"),
    Beyond("items differ in their ids", "items", "invalid_value"),
    Beyond("the baseline is one of the arms", "baseline", "unknown_name"),
    Beyond("smallest and largest op, in this order", "ops", "out_of_range"),
    Beyond("a regular expression that compiles", "pattern", "invalid_value"),
)


def refuse_what_is_refused(model: type[BaseModel]) -> Callable[[Any], None]:
    """All checks of a body that need no loaded model."""

    def check(body: Any) -> None:
        request = validated(body, model)
        if isinstance(request, GenerationFields):
            _ = request.sampling

    return check


def assert_allowed(check: Callable[[Any], None], body: Any) -> None:
    try:
        check(body)
    except (ApiError, RequestError) as error:
        param, code = _told(error)
        if not any(each.code == code and (param or "").endswith(each.param) for each in BEYOND):
            raise AssertionError(f"{error} ({param}, {code}): {body}") from error


def _told(error: ApiError | RequestError) -> tuple[str | None, str | None]:
    told = error.envelope.error if isinstance(error, ApiError) else error
    return told.param, told.code


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    return create_app().openapi()


@pytest.mark.parametrize("route", BODIES)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_IS_FINE)
@given(data=st.data())
def test_a_body_that_its_schema_allows_is_not_refused(
    document: Mapping[str, Any], route: str, data: st.DataObject
) -> None:
    schema = document["paths"][route]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = data.draw(values(schema, document["components"]["schemas"]))
    assert_allowed(refuse_what_is_refused(BODIES[route]), body)


@pytest.mark.parametrize("route", QUERIES)
@settings(max_examples=50, deadline=None, suppress_health_check=SLOW_IS_FINE)
@given(data=st.data())
def test_a_query_that_its_schema_allows_is_not_refused(
    document: Mapping[str, Any], route: str, data: st.DataObject
) -> None:
    parameters = [each for each in document["paths"][route]["get"]["parameters"] if each["in"] == "query"]
    assert parameters
    drawn = {each["name"]: data.draw(values(each["schema"], {})) for each in parameters}
    assert_allowed(refuse_what_is_refused(QUERIES[route]), drawn)


@pytest.mark.parametrize("model", [*BODIES.values()], ids=lambda model: model.__name__)
def test_lists_stop_at_their_first_bad_item(model: type[BaseModel]) -> None:
    """Else one body may ask for an account of a million mistakes."""
    slow = [path for path, schema in _schemas(model.__pydantic_core_schema__) if _accounts_for_all(schema)]
    assert slow == []


_NOT_VALIDATING = ("metadata", "serialization", "json_schema_input_schema")


def _accounts_for_all(schema: Mapping[str, Any]) -> bool:
    if schema.get("type") == "tuple" and "variadic_item_index" not in schema:
        return False  # of a fixed length
    return schema.get("type") in ("list", "tuple", "set") and not schema.get("fail_fast")


def _schemas(value: Any, path: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """All parts of a core schema, with where they stand; what only serialises is none."""
    if isinstance(value, dict):
        found = [(path, value)] if isinstance(value.get("type"), str) else []
        inner = ((str(name), each) for name, each in value.items() if name not in _NOT_VALIDATING)
    elif isinstance(value, list):
        found, inner = [], ((str(place), each) for place, each in enumerate(value))
    else:
        return []
    return found + [part for name, each in inner for part in _schemas(each, f"{path}/{name}")]
