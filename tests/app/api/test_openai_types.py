"""Every answer and every chunk is what OpenAI's own types say, whatever the strategy: nothing is coerced."""

import json
from typing import Any

import httpx2
import pytest
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

Json = dict[str, Any]
PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"
TIMID: Json = {"kind": "abstain", "score": "mean_entropy", "threshold": 0.0}
GIVES_UP: Json = {
    "kind": "retry_upon_regret",
    "triggers": [{"signal": "entropy", "threshold": 0.0}],
    "step_ends": [" ", "."],
    "retry": {"per_step": 1, "per_answer": 1, "give_up": "abstain"},
}
EARLY: Json = {
    "kind": "early_answer",
    "triggers": [{"signal": "entropy", "threshold": 0.0}],
    "min_steps": 0,
}
BODIES: dict[str, Json] = {
    "plain": {},
    "to the end": {"max_tokens": 110},
    "nothing": {"max_tokens": 0},
    "several": {"n": 3, "temperature": 0.5},
    "stop string": {"stop": ["e", "a"]},
    "stop token": {"stop_token_ids": list(range(1, 40))},
    "abstaining": {"strategy": TIMID},
    "giving up": {"strategy": GIVES_UP},
    "forced": {"strategy": EARLY},
    "ended by its strategy": {"strategy": EARLY | {"min_steps": 99}},
    "beams": {"strategy": {"kind": "beam", "width": 3}, "n": 3},
    "votes": {"strategy": {"kind": "self_consistency", "samples": 3}},
}
ASKED: dict[str, Json] = {
    "completions": {"logprobs": 3, "signals": ["entropy"]},
    "chat/completions": {"logprobs": True, "top_logprobs": 3, "signals": ["entropy"]},
}


def body_of(route: str, fields: Json) -> Json:
    prompt: Json = (
        {"prompt": PROBLEM}
        if route == "completions"
        else {"messages": [{"role": "user", "content": PROBLEM}]}
    )
    return prompt | {"seed": 3, "max_tokens": 16} | ASKED[route] | fields


def as_openai_sends(chunk: Json) -> Json:
    """A chunk of a completion: OpenAI too sends null where the text goes on, which its type does not know."""
    for choice in chunk["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return chunk


def stream(http: httpx2.Client, route: str, body: Json) -> list[Json]:
    asked = body | {"stream": True, "stream_options": {"include_usage": True}}
    lines = http.post(f"/v1/{route}", json=asked).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""], lines[-2:]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("route", ASKED)
def test_answers_and_chunks_are_of_openais_types(http: httpx2.Client, route: str, name: str) -> None:
    body = body_of(route, BODIES[name])
    answer = http.post(f"/v1/{route}", json=body)
    assert answer.status_code == 200, answer.text
    chunks = stream(http, route, body)
    if route == "completions":
        Completion.model_validate_json(answer.text, strict=True)
        for chunk in chunks:
            Completion.model_validate_json(json.dumps(as_openai_sends(chunk)), strict=True)
    else:
        ChatCompletion.model_validate_json(answer.text, strict=True)
        for chunk in chunks:
            ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)


@pytest.mark.parametrize("name", ["plain", "to the end", "stop token", "forced", "several", "beams"])
@pytest.mark.parametrize("route", ASKED)
def test_there_is_a_row_for_every_token_that_is_counted(http: httpx2.Client, route: str, name: str) -> None:
    body = body_of(route, BODIES[name])
    answer = http.post(f"/v1/{route}", json=body).json()
    counted = answer["usage"]["completion_tokens"]
    logprobs = [choice["logprobs"] for choice in answer["choices"]]
    assert sum(len(each["content"] if "content" in each else each["tokens"]) for each in logprobs) == counted
    assert sum(len(choice["signals"]) for choice in answer["choices"]) == counted
    assert all("entropy" in row for choice in answer["choices"] for row in choice["signals"])
    streamed = [choice for chunk in stream(http, route, body) for choice in chunk["choices"]]
    assert sum(len(choice.get("signals") or []) for choice in streamed) == counted


@pytest.mark.parametrize("route", ASKED)
@pytest.mark.parametrize(("strategy", "reason"), [(TIMID, "risk"), (GIVES_UP, "no retries left")])
def test_an_abstention_is_a_stop_that_says_so(
    http: httpx2.Client, route: str, strategy: Json, reason: str
) -> None:
    body = body_of(route, {"strategy": strategy})
    whole = http.post(f"/v1/{route}", json=body).json()["choices"][0]
    *_, last = [choice for chunk in stream(http, route, body) for choice in chunk["choices"]]
    for choice in (whole, last):
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "abstain")
        [event] = [event for event in choice["events"] if event["rule"] == "abstain"]
        assert reason in event["detail"]["reason"]
    assert (whole["text"] if "text" in whole else whole["message"]["content"]) == ""


def test_a_forced_token_is_marked_and_has_numbers_of_its_own(http: httpx2.Client) -> None:
    completion = http.post("/v1/completions", json=body_of("completions", BODIES["forced"])).json()
    chat = http.post("/v1/chat/completions", json=body_of("chat/completions", BODIES["forced"])).json()
    [completed], [chatted] = completion["choices"], chat["choices"]
    columns, rows = completed["logprobs"], chatted["logprobs"]["content"]
    place = columns["forced"].index(True)
    assert columns["tokens"][place] == "Answer:"
    assert columns["token_logprobs"][place] < -0.01
    assert len(columns["top_logprobs"][place]) == 4
    assert completed["signals"][place]["forced"] is True
    assert completed["signals"][place]["entropy"] > 0
    [marked] = [row for row in rows if "forced" in row]
    assert (marked["token"], marked["forced"], len(marked["top_logprobs"])) == ("Answer:", True, 3)
    assert marked["logprob"] < -0.01
    [shown] = [row for row in chatted["signals"] if "forced" in row]
    assert shown["entropy"] > 0
    live = body_of("completions", BODIES["forced"]) | {"stream": True, "stream_options": {"live": True}}
    text = http.post("/v1/completions", json=live).text
    items = [
        item
        for line in text.splitlines()
        if line.startswith("data: {")
        for item in json.loads(line[6:]).get("live", [])
    ]
    [told] = [item for item in items if item.get("forced")]
    assert told["logprob"] == columns["token_logprobs"][place]
    assert told["signals"]["entropy"] == completed["signals"][place]["entropy"]
    assert len(told["top"]) == 3


def test_models_are_of_openais_type(http: httpx2.Client) -> None:
    for each in http.get("/v1/models").json()["data"]:
        Model.model_validate_json(json.dumps(each), strict=True)


def test_beams_are_choices_in_their_order_and_no_more_than_there_are(http: httpx2.Client) -> None:
    body = body_of("completions", BODIES["beams"])
    choices = http.post("/v1/completions", json=body).json()["choices"]
    assert len({tuple(row["token_id"] for row in choice["signals"]) for choice in choices}) == 3
    scores = [choice["events"][-1]["detail"]["score"] for choice in choices]
    assert scores == sorted(scores, reverse=True)
    refused = http.post("/v1/completions", json=body | {"n": 4})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == "n"
    assert "n is 4" in error["message"]
    assert "a width of at least 4" in error["message"]
