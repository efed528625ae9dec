"""Whatever JSON is sent, validation answers with a model or with an error that names the field."""

import json
from collections.abc import Mapping

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.body import StrictJsonRoute
from app.api.errors import ApiError
from app.api.json_body import parse_json
from app.api.metrics import Metrics
from app.api.model_house import ModelHouse
from app.api.schemas.requests import ChatRequest, CompletionRequest, ScoreRequest
from app.api.service import Service
from app.settings import Settings

BODIES = {"completions": CompletionRequest, "chat": ChatRequest, "score": ScoreRequest}


@pytest.fixture(scope="module")
def echoing() -> TestClient:
    """Routes that only validate."""
    router = APIRouter(route_class=StrictJsonRoute)

    @router.post("/completions")
    def completions(body: CompletionRequest) -> dict[str, object]:
        return body.model_dump()

    @router.post("/chat")
    def chat(body: ChatRequest) -> dict[str, object]:
        return body.model_dump()

    @router.post("/score")
    def score(body: ScoreRequest) -> dict[str, object]:
        return body.model_dump()

    app = FastAPI()
    house = ModelHouse([], lambda source: pytest.fail(f"{source.name} is opened"), lambda _: 0)
    app.state.service = Service(Settings(), Metrics(), house)
    app.include_router(router)

    @app.exception_handler(ApiError)
    def answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error.response()

    assert callable(answer)
    return TestClient(app)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_lists_of_any_depth_are_read_or_refused(opening: bytes, closing: bytes) -> None:
    refused: set[str | None] = set()
    for depth in range(300, 1100):
        content = opening * depth + rb'"\ud83d\ude00"' + closing * depth
        try:
            parse_json(content)
        except ApiError as error:
            refused.add(error.envelope.error.code)
    assert refused == {"invalid_json"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(sorted(set().union(*(model.model_fields for model in BODIES.values()))))
bodies = st.dictionaries(names | st.text(max_size=6), json_values, max_size=5)


@pytest.mark.parametrize("route", BODIES)
@settings(max_examples=60, deadline=None)
@given(body=bodies, valid=st.booleans())
def test_any_json_is_accepted_or_blamed_on_a_field(
    echoing: TestClient, route: str, body: Mapping[str, object], valid: bool
) -> None:
    required = {
        "completions": {"prompt": "a"},
        "chat": {"messages": [{"role": "user", "content": "a"}]},
        "score": {"input": "a"},
    }
    sent = {**body, **(required[route] if valid else {})}
    response = echoing.post(
        f"/{route}", content=json.dumps(sent), headers={"content-type": "application/json"}
    )
    if response.status_code != 200:
        assert response.status_code == 400
        error = response.json()["error"]
        if error["code"] != "invalid_json":  # half a surrogate, an infinity
            # A name in the body may itself hold a dot or a bracket.
            known = {*sent, *BODIES[route].model_fields}
            assert any(error["param"].startswith(name) for name in known)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": 1}, "prompt"),
        ({"prompt": "a", "stop": [1]}, "stop"),
        ({"prompt": "a", "logit_bias": [[1, "x"]]}, "logit_bias[0]"),
        ({"prompt": "a", "logit_bias": [[1, 1], [2, 101]]}, "logit_bias[1]"),
        ({"prompt": "a", "logit_bias": [[1, 1], [1, True]]}, "logit_bias[1]"),
        ({"prompt": "a", "logit_bias": [[1, 1], 1]}, "logit_bias[1]"),
        ({"prompt": "a", "logit_bias": {"7": "x"}}, "logit_bias.7"),
        ({"prompt": "a", "strategy": {"kind": "sample", "oops": 1}}, "strategy.oops"),
        ({"prompt": "a", "stop_token_ids": [1, "x"]}, "stop_token_ids[1]"),
    ],
)
def test_param_is_the_path_of_the_bad_value(
    echoing: TestClient, body: Mapping[str, object], param: str
) -> None:
    assert echoing.post("/completions", json=body).json()["error"]["param"] == param


def test_a_long_value_is_cut_in_the_message(echoing: TestClient) -> None:
    message = echoing.post("/completions", json={"prompt": "a", "n": "x" * 5000}).json()["error"]["message"]
    assert len(message) < 400
