"""Every kind of bad input gets an error envelope that names the field, and the server keeps serving."""

import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import httpx2
import pytest

from tests.app.api.server import Server

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
SCORE = "/v1/score"
USER = [{"role": "user", "content": "How many kites?"}]


def post(http: httpx2.Client, route: str, content: str | bytes, **headers: str) -> httpx2.Response:
    return http.post(route, content=content, headers={"content-type": "application/json"} | headers)


def error_of(response: httpx2.Response) -> Mapping[str, Any]:
    """The envelope, which has to be complete on every error."""
    body = response.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert error["code"] is None or isinstance(error["code"], str)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return error


def cases() -> Iterator[tuple[str, Mapping[str, object], str, str]]:
    """Route, body, the field to blame, and what the message has to say."""
    prompt: dict[str, object] = {"prompt": "How many kites?"}
    yield COMPLETIONS, {}, "prompt", "missing"
    yield COMPLETIONS, {"prompt": ""}, "prompt", "empty"
    yield COMPLETIONS, {"prompt": []}, "prompt", "empty"
    yield COMPLETIONS, {"prompt": [[]]}, "prompt[0]", "empty"
    yield COMPLETIONS, {"prompt": ["a", ""]}, "prompt[1]", "empty"
    yield COMPLETIONS, {"prompt": 3}, "prompt", "list of token ids"
    yield COMPLETIONS, {"prompt": [1, "a"]}, "prompt", "list of token ids"
    yield COMPLETIONS, {"prompt": [True]}, "prompt", "list of token ids"
    yield COMPLETIONS, {"prompt": [0, 10**6]}, "prompt[1]", "token ids are 0 to"
    yield COMPLETIONS, {"prompt": [[1], [-1]]}, "prompt[1][0]", "token ids are 0 to"
    yield COMPLETIONS, {"prompt": "Kites are 7. " * 200}, "prompt", "the model's context holds 128"
    yield COMPLETIONS, {"prompt": ["a"] * 300}, "prompt", "at most 256"
    yield COMPLETIONS, prompt | {"model": "gpt-4"}, "model", "use 'tiny'"
    yield COMPLETIONS, prompt | {"model": 3}, "model", "valid string"
    for name, values, allowed in (
        ("temperature", (-0.1, 101, "1", True, [1]), "0 to 100"),
        ("top_k", (-2, 2**40, 1.5, "a", True), "1 or more"),
        ("top_p", (-0.1, 1.1, "1"), "0 to 1"),
        ("min_p", (-0.1, 1.1), "0 to 1"),
        ("typical_p", (-0.1, 1.1), "0 to 1"),
        ("presence_penalty", (-2.1, 2.1), "-2 to 2"),
        ("frequency_penalty", (-2.1, 2.1), "-2 to 2"),
        ("repetition_penalty", (0, -1, 101), "0.01 to 100"),
        ("seed", (2**63, -(2**63) - 1, 1.5, "1"), "64-bit"),
        ("n", (0, -1, "2", 1.5, True), "1 or more"),
        ("max_tokens", (-1, 1.5, "9", 2**40), "0 or more"),
        ("logprobs", (-1, 21, True, "1"), "0 to 20"),
        ("stop", (3, "", ["a", ""], [1], {"a": 1}), "none empty"),
        ("stop_token_ids", (3, {"a": 1}), "64 token ids"),
        ("stream", ("yes", 1, 0), "server-sent events"),
        ("ignore_eos", ("yes", 1), "end token"),
        ("echo", ("yes", 1), "in front of"),
        ("signals", ("entropy", {}), "GET /v1/signals"),
        ("strategy", ("greedy", {}, {"kind": "best"}, 3, {"kind": 3}), "GET /v1/strategies"),
        ("logit_bias", ("a", 1), "-100 to 100"),
        ("user", (3,), "no effect"),
    ):
        for value in values:
            yield COMPLETIONS, prompt | {name: value}, name, allowed
    yield COMPLETIONS, prompt | {"n": 129}, "n", "between 1 and 128"
    yield COMPLETIONS, prompt | {"stop": ["a"] * 17}, "stop", "at most 16"
    yield COMPLETIONS, prompt | {"signals": [1]}, "signals[0]", "valid string"
    yield COMPLETIONS, prompt | {"stop_token_ids": [1, 1.5]}, "stop_token_ids[1]", "valid integer"
    yield COMPLETIONS, prompt | {"stop_token_ids": [-1]}, "stop_token_ids[0]", "greater than or equal to 0"
    yield COMPLETIONS, prompt | {"stop_token_ids": [10**6]}, "stop_token_ids", "0 to"
    yield COMPLETIONS, prompt | {"logit_bias": {"a": 1}}, "logit_bias", "token ids such as"
    yield COMPLETIONS, prompt | {"logit_bias": {"-1": 1}}, "logit_bias", "token ids such as"
    yield COMPLETIONS, prompt | {"logit_bias": {"1": 101}}, "logit_bias.1", "-100 to 100"
    yield COMPLETIONS, prompt | {"logit_bias": {"1": "x"}}, "logit_bias.1", "valid number"
    yield COMPLETIONS, prompt | {"logit_bias": [1]}, "logit_bias[0]", "-100 to 100"
    yield COMPLETIONS, prompt | {"logit_bias": {"1000000": 1}}, "logit_bias", "0 to"
    yield COMPLETIONS, prompt | {"signals": ["entropi"]}, "signals", "entropy, varentropy"
    yield COMPLETIONS, prompt | {"strategy": {"kind": "greedy", "x": 1}}, "strategy.x", "unknown field"
    yield COMPLETIONS, prompt | {"stream_options": {"include_usage": True}}, "stream_options", "stream: true"
    yield (
        COMPLETIONS,
        prompt | {"stream": True, "stream_options": {"usage": True}},
        "stream_options.usage",
        "unknown field",
    )
    yield COMPLETIONS, prompt | {"temprature": 1}, "temprature", "did you mean 'temperature'"
    yield COMPLETIONS, prompt | {"frobnicate": 1}, "frobnicate", "known fields are"
    yield COMPLETIONS, prompt | {"best_of": 2}, "best_of", "use n"
    yield COMPLETIONS, prompt | {"best_of": True}, "best_of", "use n"
    yield COMPLETIONS, prompt | {"suffix": "a"}, "suffix", "only continues"
    yield COMPLETIONS, prompt | {"top_logprobs": 2}, "top_logprobs", "use logprobs"
    yield COMPLETIONS, prompt | {"mirostat": 3}, "mirostat", "0 to 2"
    yield COMPLETIONS, prompt | {"mirostat_mode": 2}, "mirostat_mode", "use mirostat"
    yield COMPLETIONS, prompt | {"epsilon_cutoff": 3}, "epsilon_cutoff", "units of 0.0001"
    yield COMPLETIONS, prompt | {"mirostat": 2, "adaptive_target": 0.3}, "adaptive_target", "both draw"
    yield COMPLETIONS, prompt | {"dynatemp_range": 0.5, "edt_theta": 1}, "edt_theta", "both set the temp"
    yield COMPLETIONS, prompt | {"samplers": ["top_q"]}, "samplers", "there are penalties"
    yield COMPLETIONS, prompt | {"samplers": ["top_k", "top_k"]}, "samplers", "more than once"
    yield COMPLETIONS, prompt | {"samplers": ["top_k", "dry"]}, "samplers", "come before"
    yield COMPLETIONS, prompt | {"samplers": ["mirostat", "top_k"]}, "samplers", "after"
    yield COMPLETIONS, prompt | {"samplers": ["top_k"], "min_p": 0.1}, "samplers", "does not list 'min_p'"
    yield COMPLETIONS, prompt | {"dry_sequence_breakers": [""]}, "dry_sequence_breakers[0]", "least 1"
    yield CHAT, {}, "messages", "missing"
    yield CHAT, {"messages": []}, "messages", "at least 1"
    yield CHAT, {"messages": "a"}, "messages", "valid list"
    yield CHAT, {"messages": [3]}, "messages[0]", "valid"
    tool = {"role": "tool", "content": "4", "tool_call_id": "a"}
    yield CHAT, {"messages": [*USER, tool]}, "messages[1].role", "no tools"
    called = {"role": "assistant", "content": "a", "tool_calls": [{"id": "a"}]}
    yield CHAT, {"messages": [*USER, called]}, "messages[1].tool_calls", "no tools"
    yield CHAT, {"messages": [{**USER[0], "nmae": "a"}]}, "messages[0].nmae", "did you mean 'name'"
    yield CHAT, {"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "'user'"
    yield CHAT, {"messages": [{"role": "user"}]}, "messages[0].content", "missing"
    yield CHAT, {"messages": [{"role": "user", "content": " \n"}]}, "messages[0].content", "empty"
    yield CHAT, {"messages": [{"role": "user", "content": None}]}, "messages[0].content", "valid"
    image = [{"type": "image_url", "image_url": {"url": "x"}}]
    yield CHAT, {"messages": [{"role": "user", "content": image}]}, "messages[0].content[0].type", "'text'"
    for name, value in (
        ("tools", [{"type": "function"}]),
        ("tool_choice", "required"),
        ("response_format", {"type": "json_object"}),
        ("modalities", ["audio"]),
        ("reasoning_effort", "high"),
        ("store", True),
        ("echo", True),
    ):
        yield CHAT, {"messages": USER, name: value}, name, "not supported"
    yield CHAT, {"messages": USER, "logprobs": 3}, "logprobs", "valid boolean"
    yield CHAT, {"messages": USER, "top_logprobs": 3}, "top_logprobs", "needs logprobs"
    yield CHAT, {"messages": USER, "logprobs": True, "top_logprobs": 21}, "top_logprobs", "0 to 20"
    yield CHAT, {"messages": USER, "max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "give one"
    yield SCORE, {}, "input", "missing"
    yield SCORE, {"input": ""}, "input", "empty"
    yield SCORE, {"input": "Kites are 7. " * 200}, "input", "holds 128"
    yield SCORE, {"input": [10**6]}, "input[0]", "0 to"
    yield SCORE, {"input": "a", "signals": ["x"]}, "signals", "entropy"
    yield SCORE, {"input": "a", "top_logprobs": 21}, "top_logprobs", "0 to 20"
    yield SCORE, {"input": "a", "prompt": "b"}, "prompt", "use input"


@pytest.mark.parametrize(("route", "body", "param", "says"), list(cases()))
def test_bad_field(
    http: httpx2.Client, route: str, body: Mapping[str, object], param: str, says: str
) -> None:
    response = post(http, route, json.dumps(body))
    error = error_of(response)
    assert response.status_code == (404 if param == "model" and body["model"] == "gpt-4" else 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert says in error["message"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"{", "line 1, column 2"),
        (b"{'prompt': 1}", "not JSON"),
        (b'{"prompt": "a",}', "not JSON"),
        (b'{"prompt": "a"} x', "not JSON"),
        (b'"prompt"', "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"prompt": "a", "temperature": NaN}', "NaN"),
        (b'{"prompt": "a", "temperature": Infinity}', "Infinity"),
        (b'{"prompt": "a", "temperature": -Infinity}', "-Infinity"),
        (b'{"prompt": "a", "temperature": 1e999}', "1e999"),
        (b'{"prompt": "a", "logit_bias": {"1": NaN}}', "NaN"),
        (b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
        (b'{"prompt": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1, "prompt": "a"}', "surrogate"),
        (b'{"prompt": "a\nb"}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 15_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value[:40]),
)
@pytest.mark.parametrize("route", [COMPLETIONS, CHAT, SCORE])
def test_bad_json(http: httpx2.Client, route: str, content: bytes, says: str) -> None:
    response = post(http, route, content)
    assert response.status_code == 400
    assert says in error_of(response)["message"]


def test_both_halves_of_a_surrogate_pair_are_a_character(http: httpx2.Client) -> None:
    response = post(http, COMPLETIONS, b'{"prompt": "\\ud83e\\ude81", "max_tokens": 1, "echo": true}')
    assert response.status_code == 200
    assert response.json()["choices"][0]["text"].startswith("\U0001fa81")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_wrong_content_type(http: httpx2.Client, content_type: str) -> None:
    response = http.post(
        COMPLETIONS,
        content=b'{"prompt": "a"}',
        headers={"content-type": content_type} if content_type else {},
    )
    assert response.status_code == 415
    assert "application/json" in error_of(response)["message"]


def test_content_type_may_name_a_charset(http: httpx2.Client) -> None:
    body = {"prompt": "a", "max_tokens": 1}
    response = post(
        http, COMPLETIONS, json.dumps(body), **{"content-type": "application/json; charset=utf-8"}
    )
    assert response.status_code == 200


def test_unknown_route(http: httpx2.Client) -> None:
    response = http.get("/v1/embeddings")
    assert response.status_code == 404
    assert error_of(response)["code"] == "route_not_found"


def test_wrong_method(http: httpx2.Client) -> None:
    response = http.get(COMPLETIONS)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST, OPTIONS"
    assert "POST" in error_of(response)["message"]


def authorised(server: Server) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, headers={"authorization": "Bearer secret"}, timeout=30)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_large_body(narrow_server: Server, chunked: bool) -> None:
    def pieces() -> Generator[bytes]:
        for _ in range(40):
            yield b" " * 100

    with authorised(narrow_server) as http:
        response = http.post(
            COMPLETIONS,
            content=pieces() if chunked else b" " * 4000,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 413
        assert "2048" in error_of(response)["message"]
        assert http.get("/v1/models").status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer wrong", "secret", "Bearer secret2", "Bearer \xe9"])
def test_wrong_key(narrow_server: Server, header: str | None) -> None:
    headers = [(b"authorization", header.encode("latin-1"))] if header else []
    response = httpx2.get(f"{narrow_server.url}/v1/models", headers=headers, timeout=60)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert response.headers["www-authenticate"] == "Bearer"


def test_no_key_is_needed_outside_v1(narrow_server: Server) -> None:
    for route in ("/health/live", "/health/ready", "/metrics"):
        assert httpx2.get(narrow_server.url + route, timeout=60).status_code == 200


def test_the_server_still_serves(http: httpx2.Client) -> None:
    body = {"prompt": "Kites are 7. How many kites?", "seed": 3, "max_tokens": 5}
    answers = [post(http, COMPLETIONS, json.dumps(body)).json()["choices"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert http.get("/health/live").json()["status"] == "ok"
