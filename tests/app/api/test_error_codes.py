"""Every kind of mistake has its own code, and every code is in the table of docs/errors.md."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from app.errors import ErrorCode, RequestError
from tests.app.api.test_bad_requests import CHAT, COMPLETIONS, SCORE, USER, error_of, post

HOUSE = Path(__file__).parents[3]
CODES = frozenset(get_args(ErrorCode))
ROW = re.compile(
    r"^\| `(\w+)` \| (\d{3}(?:, \d{3})*(?: or \d{3})?|the status) \| (`\w+`|by the status) "
    r"\| \S.+ \| \S.+ \|$",
    re.MULTILINE,
)
GIVEN = re.compile(r"""code(?::\s*ErrorCode)?\s*=\s*"(\w+)\"""")


def test_the_table_has_every_code_once() -> None:
    rows = ROW.findall((HOUSE / "docs" / "errors.md").read_text())
    assert sorted(code for code, _, _ in rows) == sorted(CODES)


def test_every_code_in_the_source_is_in_the_table() -> None:
    used = {
        code
        for path in (HOUSE / "app").rglob("*.py")
        for code in GIVEN.findall(path.read_text(encoding="utf-8"))
    }
    assert used, "the pattern finds codes"
    assert used <= CODES


def test_every_class_of_bad_requests_has_a_code_of_the_table() -> None:
    classes = [RequestError]
    for each in classes:
        classes += each.__subclasses__()
    assert {each.default_code for each in classes} <= CODES


def mistakes() -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Route, body and code."""
    prompt = {"prompt": "How many kites?"}
    beam = {"kind": "beam"}
    yield COMPLETIONS, {}, "missing_field"
    yield CHAT, {}, "missing_field"
    yield CHAT, {"messages": [{"role": "user"}]}, "missing_field"
    yield COMPLETIONS, prompt | {"strategy": {}}, "missing_field"
    yield COMPLETIONS, prompt | {"strategy": {"kind": "adadec"}}, "missing_field"
    yield COMPLETIONS, prompt | {"temprature": 1}, "unknown_field"
    yield COMPLETIONS, prompt | {"strategy": {"kind": "greedy", "foo": 1}}, "unknown_field"
    yield COMPLETIONS, prompt | {"stream": True, "stream_options": {"usage": True}}, "unknown_field"
    yield SCORE, {"input": "a", "n": 1}, "unknown_field"
    yield COMPLETIONS, prompt | {"min_tokens": 3}, "unsupported_field"
    yield CHAT, {"messages": USER, "tools": [{}]}, "unsupported_field"
    yield SCORE, {"input": "a", "prompt": "b"}, "unsupported_field"
    yield (
        COMPLETIONS,
        prompt | {"stream": True, "stream_options": {"continuous_usage_stats": True}},
        "unsupported_field",
    )
    yield COMPLETIONS, prompt | {"temperature": "1"}, "invalid_type"
    yield COMPLETIONS, prompt | {"n": 1.5}, "invalid_type"
    yield COMPLETIONS, prompt | {"stop": [1]}, "invalid_type"
    yield COMPLETIONS, {"prompt": [1, "a"]}, "invalid_type"
    yield COMPLETIONS, {"prompt": [[""]]}, "invalid_type"
    yield COMPLETIONS, prompt | {"strategy": beam | {"width": "x"}}, "invalid_type"
    yield COMPLETIONS, prompt | {"logit_bias": {"1": "x"}}, "invalid_type"
    yield COMPLETIONS, prompt | {"logit_bias": [[1]]}, "invalid_type"
    yield COMPLETIONS, prompt | {"temperature": -1}, "out_of_range"
    yield COMPLETIONS, prompt | {"n": 129}, "out_of_range"
    yield COMPLETIONS, prompt | {"seed": 2**63}, "out_of_range"
    yield COMPLETIONS, prompt | {"stop": ""}, "out_of_range"
    yield COMPLETIONS, prompt | {"stop": ["a"] * 17}, "out_of_range"
    yield COMPLETIONS, prompt | {"logit_bias": {"1000000": 1}}, "out_of_range"
    yield COMPLETIONS, prompt | {"logit_bias": [[1, 101]]}, "out_of_range"
    yield COMPLETIONS, prompt | {"logit_bias": {str(n): 1 for n in range(1025)}}, "out_of_range"
    yield COMPLETIONS, prompt | {"strategy": beam | {"width": 0}}, "out_of_range"
    yield COMPLETIONS, {"prompt": ""}, "out_of_range"
    yield COMPLETIONS, {"prompt": [0, 10**6]}, "out_of_range"
    yield COMPLETIONS, {"prompt": ["a"] * 300}, "out_of_range"
    yield SCORE, {"input": "a", "top_logprobs": 21}, "out_of_range"
    yield COMPLETIONS, prompt | {"signals": ["entropi"]}, "unknown_name"
    yield COMPLETIONS, prompt | {"strategy": {"kind": "best"}}, "unknown_name"
    yield COMPLETIONS, prompt | {"samplers": ["top_q"]}, "unknown_name"
    yield COMPLETIONS, prompt | {"strategy": beam | {"width": 3, "groups": 2}}, "conflicting_fields"
    yield COMPLETIONS, prompt | {"mirostat": 2, "adaptive_target": 0.3}, "conflicting_fields"
    yield COMPLETIONS, prompt | {"samplers": ["top_k"], "min_p": 0.1}, "conflicting_fields"
    yield COMPLETIONS, prompt | {"stream_options": {}}, "conflicting_fields"
    yield CHAT, {"messages": USER, "top_logprobs": 3}, "conflicting_fields"
    yield CHAT, {"messages": USER, "max_tokens": 1, "max_completion_tokens": 1}, "conflicting_fields"
    yield COMPLETIONS, prompt | {"samplers": ["top_k", "dry"]}, "invalid_value"
    yield COMPLETIONS, {"prompt": "Kites are 7. " * 60}, "context_length_exceeded"
    yield COMPLETIONS, {"prompt": "Kites are 7. " * 2000}, "context_length_exceeded"
    yield COMPLETIONS, {"prompt": [1] * 128}, "context_length_exceeded"
    yield SCORE, {"input": [1] * 129}, "context_length_exceeded"


@pytest.mark.parametrize(("route", "body", "code"), [*mistakes()])
def test_each_kind_of_mistake_has_its_code(
    http: httpx2.Client, route: str, body: Mapping[str, Any], code: str
) -> None:
    response = post(http, route, json.dumps(body))
    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, code), error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"strategy": {"kind": "greedy", "foo": 1}}, ["foo", "known fields are kind"]),
        ({"strategy": {"kind": "beam", "widht": 1}}, ["widht", "groups", "length_penalty", "width"]),
        ({"strategy": {"kind": "best"}}, ['"best"', "beam", "self_consistency"]),
        ({"use_beam_search": True}, ['"kind": "beam"']),
        ({"length_penalty": 0.6}, ['"kind": "beam"']),
    ],
)
def test_a_name_that_is_not_known_is_named_with_those_that_are(
    http: httpx2.Client, body: Mapping[str, Any], said: list[str]
) -> None:
    message = error_of(post(http, COMPLETIONS, json.dumps({"prompt": "a"} | dict(body))))["message"]
    for each in said:
        assert each in message
    assert "Input" not in message, "these would be pydantic's words"
