"""Fields of other servers pass where they change nothing, and else are refused with what to use instead."""

import json
import re
from collections.abc import Mapping, Sequence

import httpx2
import pytest
from pydantic import BaseModel

from app.api.schemas.foreign import (
    CHAT_FOREIGN,
    COMPLETION_FOREIGN,
    MESSAGE_FOREIGN,
    SCORE_FOREIGN,
    STREAM_OPTIONS_FOREIGN,
    Foreign,
)
from app.api.schemas.generation import StreamOptions
from app.api.schemas.requests import ChatMessage, ChatRequest, CompletionRequest, ScoreRequest
from tests.app.api.test_bad_requests import CHAT, COMPLETIONS, USER, post

ADVICE = re.compile(
    "/v1/|/metrics|/docs|leave it out|put |check |send |serve|header|connection|text|written|always"
)


@pytest.mark.parametrize(
    "fields",
    [
        {"best_of": 1, "suffix": None, "logit_bias": None, "stop": None, "seed": None, "logprobs": None},
        {"temperature": None, "n": None, "stream": None, "stream_options": None, "max_tokens": 1},
        {"top_n_sigma": -1, "mirostat": 0, "use_beam_search": False, "min_tokens": 0, "user": "me"},
        {"top_k": -1, "length_penalty": 1.0, "repeat_penalty": 1},
        {"skip_special_tokens": True, "detokenize": True, "cache_prompt": True, "priority": 0, "id_slot": -1},
        {"logit_bias": [[5, 1.5], [6, False]]},
        {"stream": True, "stream_options": {"include_obfuscation": False, "continuous_usage_stats": False}},
    ],
)
def test_values_that_change_nothing_pass(http: httpx2.Client, fields: dict[str, object]) -> None:
    response = post(http, COMPLETIONS, json.dumps({"prompt": "a", "max_tokens": 1} | fields))
    assert response.status_code == 200, response.text


def test_chat_values_that_change_nothing_pass(http: httpx2.Client) -> None:
    fields = {
        "tools": [],
        "tool_choice": "none",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
        "modalities": ["text"],
        "store": False,
        "metadata": {},
        "service_tier": "auto",
        "add_generation_prompt": True,
        "max_tokens": 1,
    }
    response = post(http, CHAT, json.dumps({"messages": USER} | fields))
    assert response.status_code == 200, response.text


def test_the_name_of_who_asks_passes(http: httpx2.Client) -> None:
    named = [USER[0] | {"name": "Ada"}]
    response = post(http, CHAT, json.dumps({"messages": named, "max_tokens": 1}))
    assert response.status_code == 200, response.text


OWN: Sequence[tuple[Mapping[str, Foreign], type[BaseModel]]] = (
    (COMPLETION_FOREIGN, CompletionRequest),
    (CHAT_FOREIGN, ChatRequest),
    (SCORE_FOREIGN, ScoreRequest),
    (MESSAGE_FOREIGN, ChatMessage),
    (STREAM_OPTIONS_FOREIGN, StreamOptions),
)


@pytest.mark.parametrize(("foreign", "model"), OWN, ids=[model.__name__ for _, model in OWN])
def test_every_foreign_field_says_what_to_do(foreign: Mapping[str, Foreign], model: type[BaseModel]) -> None:
    """An own field, a route, or that it is to be left out; and none is one of our own fields."""
    assert not foreign.keys() & model.model_fields.keys()
    own = {name for _, each in OWN for name in each.model_fields}
    for name, field in foreign.items():
        words = set(re.findall(r"[a-z_0-9]+", field.reason))
        assert words & own or ADVICE.search(field.reason), f"{name}: {field.reason}"
