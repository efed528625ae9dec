"""Tentative tokens over HTTP: the official client is unharmed, and who applies them gets the answer early."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from openai import OpenAI

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
# Random weights are in doubt at every token.
RETRY: dict[str, Any] = {
    "kind": "random_retry",
    "probability": 0.6,
    "step_ends": [" ", "."],
    "retry": {"per_step": 2, "per_answer": 4},
}
SAMPLES: dict[str, Any] = {"kind": "self_consistency", "samples": 3}
BEAM: dict[str, Any] = {"kind": "beam", "width": 3}
Json = dict[str, Any]


def body(strategy: Json | None, *, live: bool, **fields: Any) -> Json:
    return {
        "prompt": PROBLEM,
        "seed": 3,
        "max_tokens": 20,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"live": live},
        "strategy": strategy,
    } | fields


def stream(http: httpx2.Client, path: str, body: Json) -> list[Json]:
    """The chunks of a stream, which has to end as it should."""
    with http.stream("POST", path, json=body) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def said(chunk: Json) -> Json:
    """All but the numbers: another batch rounds them in another way."""
    choices: list[Json] = chunk["choices"]
    numbers = {"logprobs", "signals", "events"}
    return {
        "choices": [{name: each[name] for name in each if name not in numbers} for each in choices],
        "usage": chunk["usage"],
    }


@dataclass
class Texts:
    """Every branch of every choice, as a client keeps them."""

    branches: dict[tuple[int, str], list[Json]] = field(default_factory=dict[tuple[int, str], list[Json]])
    chosen: dict[int, list[Json]] = field(default_factory=dict[int, list[Json]])

    def apply(self, items: Iterable[Json]) -> None:
        for item in items:
            key = (item["index"], item["branch"])
            match item["type"]:
                case "token":
                    assert len(self.branches.setdefault(key, [])) == item["position"]
                    self.branches[key].append(item)
                case "rollback":
                    del self.branches[key][item["position"] :]
                case "fork":
                    parent = self.branches.get((item["index"], item["from"]), [])
                    assert len(parent) == item["position"]
                    self.branches[key] = list(parent)
                case "drop":
                    self.branches.pop(key, None)
                case "chosen":
                    self.chosen[item["index"]] = self.branches[key][: item["position"]]
                case other:
                    assert other == "event"


@pytest.mark.parametrize("strategy", [None, RETRY, SAMPLES, BEAM])
@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_applying_the_items_gives_the_answer_and_the_rest_is_as_ever(
    http: httpx2.Client, path: str, strategy: Json | None
) -> None:
    own: Json = (
        {"prompt": PROBLEM} if path == COMPLETIONS else {"messages": [{"role": "user", "content": PROBLEM}]}
    )
    own |= {"logprobs": 2} if path == COMPLETIONS else {"logprobs": True, "top_logprobs": 2}
    asked = body(strategy, live=True, n=2, signals=["entropy"]) | own
    if path == CHAT:
        del asked["prompt"]
    live = stream(http, path, asked)
    plain = stream(http, path, asked | {"stream_options": {"live": False}})
    told = [item for chunk in live for item in chunk.get("live", [])]
    assert all(chunk["choices"] == [] for chunk in live if "live" in chunk)
    assert not any("live" in chunk for chunk in plain)
    assert [said(chunk) for chunk in live if "live" not in chunk] == [said(chunk) for chunk in plain]
    texts = Texts()
    texts.apply(told)
    signals: dict[int, list[Json]] = {0: [], 1: []}
    events: dict[int, list[Json]] = {0: [], 1: []}
    for choice in (choice for chunk in live for choice in chunk["choices"]):
        signals[choice["index"]] += choice.get("signals") or []
        events[choice["index"]] += choice.get("events") or []
    for index in range(2):
        shown = [
            {"token": item["token"], "token_id": item["token_id"]} | item["signals"]
            for item in texts.chosen[index]
        ]
        assert shown == signals[index]
        fired = [item for item in told if item["index"] == index and item["type"] in ("event", "rollback")]
        assert [{key: item[key] for key in ("position", "rule", "detail")} for item in fired] == events[index]
    assert all(len(item["top"]) == 2 for item in told if item["type"] == "token" and "forced" not in item)


def test_items_come_before_the_commit(http: httpx2.Client) -> None:
    """Samples that vote say nothing final before the last one is written; the items do not wait for it."""
    chunks = stream(http, COMPLETIONS, body(SAMPLES, live=True))
    first = next(
        number for number, chunk in enumerate(chunks) if any(each["text"] for each in chunk["choices"])
    )
    told = [item for chunk in chunks[:first] for item in chunk["live"]]
    assert sum(item["type"] == "token" for item in told) == 3 * 20
    assert first >= 20
    # And where every token is final at once, each is told right before it is said.
    early, final = list[str](), list[str]()
    for chunk in stream(http, COMPLETIONS, body(None, live=True, logprobs=0)):
        early += [item["token"] for item in chunk.get("live", []) if item["type"] == "token"]
        final += [token for each in chunk["choices"] for token in (each["logprobs"] or {}).get("tokens", [])]
        assert final == early[: len(final)]
        assert len(early) <= len(final) + 1
    assert len(final) == 20


def test_signals_and_alternatives_are_left_out_unless_asked_for(http: httpx2.Client) -> None:
    chunks = stream(http, COMPLETIONS, body(RETRY, live=True))
    told = [item for chunk in chunks for item in chunk.get("live", [])]
    assert {"token", "rollback", "chosen"} <= {item["type"] for item in told}
    token = next(item for item in told if item["type"] == "token")
    assert set(token) == {"type", "index", "branch", "position", "token", "token_id", "logprob"}


def test_prompts_and_choices_are_numbered_as_in_the_answer(http: httpx2.Client) -> None:
    asked = body(None, live=True, prompt=[PROBLEM, "How many kites?"], n=2, logprobs=0)
    texts, written = Texts(), dict[int, list[str]]()
    for chunk in stream(http, COMPLETIONS, asked):
        texts.apply(chunk.get("live", []))
        for choice in chunk["choices"]:
            written.setdefault(choice["index"], []).extend((choice["logprobs"] or {}).get("tokens", []))
    assert set(written) == {0, 1, 2, 3}
    assert {index: [item["token"] for item in told] for index, told in texts.chosen.items()} == written


@pytest.mark.parametrize("strategy", [RETRY, SAMPLES])
def test_the_official_client_reads_the_text_as_ever(client: OpenAI, strategy: Json) -> None:
    whole = client.completions.create(
        model="tiny", prompt=PROBLEM, seed=3, max_tokens=20, extra_body={"strategy": strategy}
    )
    text, told = "", 0
    for chunk in client.completions.create(
        model="tiny",
        prompt=PROBLEM,
        seed=3,
        max_tokens=20,
        stream=True,
        extra_body={"strategy": strategy, "stream_options": {"live": True}},
    ):
        text += "".join(choice.text for choice in chunk.choices)
        told += len((chunk.model_extra or {}).get("live", []))
    assert text == whole.choices[0].text
    assert told > 20
    streamed = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": PROBLEM}],
        seed=3,
        max_tokens=20,
        stream=True,
        extra_body={"strategy": strategy, "stream_options": {"live": True}},
    )
    answer = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": PROBLEM}],
        seed=3,
        max_tokens=20,
        extra_body={"strategy": strategy},
    )
    pieces = [choice.delta.content or "" for chunk in streamed for choice in chunk.choices]
    assert "".join(pieces) == answer.choices[0].message.content
