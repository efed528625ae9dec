"""Every field of a request does what it says."""

import json
from typing import Any

import httpx2
import pytest

PROMPT = "Boats are 3 times kites. Kites are 7. How many boats?"


def complete(http: httpx2.Client, **fields: object) -> list[dict[str, Any]]:
    body = {"prompt": PROMPT, "seed": 7, "max_tokens": 16, "ignore_eos": True, "logprobs": 0} | fields
    response = http.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()["choices"]


def tokens(choice: dict[str, Any]) -> list[str]:
    return choice["logprobs"]["tokens"]


@pytest.fixture
def plain(http: httpx2.Client) -> dict[str, Any]:
    """The completion that the other fields change."""
    return complete(http)[0]


def test_a_seed_repeats_its_text_and_another_does_not(http: httpx2.Client, plain: dict[str, Any]) -> None:
    assert complete(http)[0] == plain
    assert complete(http, seed=8)[0]["text"] != plain["text"]
    assert complete(http, seed=-(2**63))[0]["text"] != plain["text"]


def test_a_seed_that_was_drawn_is_told(http: httpx2.Client) -> None:
    body: dict[str, object] = {"prompt": PROMPT, "max_tokens": 16}
    drawn = http.post("/v1/completions", json=body).json()
    again = http.post("/v1/completions", json=body | {"seed": drawn["seed"]}).json()
    assert again["choices"] == drawn["choices"]
    assert http.post("/v1/completions", json=body).json()["seed"] != drawn["seed"]


def test_n_choices_per_prompt_are_numbered_prompt_by_prompt(http: httpx2.Client) -> None:
    choices = complete(http, prompt=[PROMPT, "How many kites?"], n=3)
    assert [choice["index"] for choice in choices] == list(range(6))
    alone = complete(http, prompt="How many kites?", n=3)
    assert [choice["text"] for choice in choices[3:]] == [choice["text"] for choice in alone]
    assert len({choice["text"] for choice in choices}) == 6


def test_token_ids_are_a_prompt(http: httpx2.Client, plain: dict[str, Any]) -> None:
    rows = http.post("/v1/score", json={"input": PROMPT}).json()["data"][0]["tokens"]
    ids = [row["token_id"] for row in rows]
    assert complete(http, prompt=ids)[0] == plain
    assert complete(http, prompt=[ids])[0] == plain
    assert complete(http, prompt=ids, echo=True)[0]["text"] == PROMPT + plain["text"]


def test_temperature_0_is_greedy(http: httpx2.Client) -> None:
    greedy = complete(http, temperature=0)
    assert complete(http, temperature=0, seed=99) == greedy
    assert complete(http, strategy={"kind": "greedy"}) == greedy
    assert complete(http, top_k=1) == greedy
    assert complete(http, top_p=0) == greedy
    assert complete(http, min_p=1) == greedy
    likeliest = complete(http, temperature=0, logprobs=1)[0]["logprobs"]
    assert all(len(top) == 1 for top in likeliest["top_logprobs"])


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.2},
        {"top_k": 2},
        {"top_p": 0.3},
        {"min_p": 0.7},
        {"typical_p": 0.1},
        {"presence_penalty": 2.0},
        {"frequency_penalty": 2.0},
        {"repetition_penalty": 5.0},
        {"no_repeat_ngram_size": 1},
        {"dry_multiplier": 5.0, "dry_allowed_length": 1},
        {"dynatemp_range": 0.9},
        {"edt_theta": 3.0},
        {"smoothing_factor": 1.0},
        {"top_n_sigma": 1.0},
        {"epsilon_cutoff": 0.005},
        {"eta_cutoff": 0.9},
        {"top_h": 0.5},
        {"p_less": True},
        {"top_a": 1.0},
        {"tfs": 0.5},
        {"xtc_probability": 1.0, "xtc_threshold": 0.001},
        {"mirostat": 1, "mirostat_tau": 1.0},
        {"mirostat": 2, "mirostat_tau": 1.0},
        {"adaptive_target": 0.0},
        {"temperature": 0.5, "top_p": 0.5, "samplers": ["top_p", "temperature"]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_each_sampler_field_changes_some_text(http: httpx2.Client, fields: dict[str, object]) -> None:
    before = [choice["text"] for choice in complete(http, n=8)]
    assert [choice["text"] for choice in complete(http, n=8, **fields)] != before


def test_the_answer_says_what_the_chain_does(http: httpx2.Client) -> None:
    def said(route: str, **fields: object) -> dict[str, Any]:
        messages: dict[str, object] = {"messages": [{"role": "user", "content": PROMPT}]}
        body = messages if "chat" in route else {"prompt": PROMPT}
        response = http.post(route, json=body | {"max_tokens": 2} | fields)
        if not fields.get("stream"):
            return response.json()["sampling"]
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        [told] = [chunk["sampling"] for chunk in chunks if "sampling" in chunk]
        return told

    for route in ("/v1/completions", "/v1/chat/completions"):
        assert said(route) == {"samplers": [], "temperature": 1.0}
        fields: dict[str, object] = {"xtc_probability": 0.5, "top_k": 4, "samplers": ["xtc", "top_k"]}
        expected = {"temperature": 1.0, "top_k": 4, "xtc_probability": 0.5, "xtc_threshold": 0.1}
        for stream in (False, True):
            told = said(route, **fields, dry_multiplier=0, stream=stream)
            assert told == expected | {"samplers": ["xtc", "top_k"]}
        assert said(route, temperature=0, top_k=4, presence_penalty=1)["samplers"] == ["penalties"]


@pytest.mark.parametrize("fields", [{"mirostat": 2, "mirostat_tau": 2.0}, {"adaptive_target": 0.2}])
def test_what_a_sampler_remembers_is_its_own_rows(http: httpx2.Client, fields: dict[str, object]) -> None:
    """Each choice's text depends on its own past, so it must be the same alone and among others."""
    among = complete(http, prompt=[PROMPT, "How many kites?"], n=4, **fields)
    alone = complete(http, prompt="How many kites?", n=4, **fields)
    assert [choice["text"] for choice in among[4:]] == [choice["text"] for choice in alone]


def test_logit_bias_forces_and_forbids(http: httpx2.Client) -> None:
    forced = complete(http, logit_bias={"5": 100}, signals=["entropy"])[0]
    assert [row["token_id"] for row in forced["signals"]] == [5] * 16
    unbiased = complete(http, signals=["entropy"])[0]
    first = unbiased["signals"][0]["token_id"]
    without = complete(http, logit_bias={str(first): -100}, signals=["entropy"])[0]["signals"]
    assert first not in [row["token_id"] for row in without]
    # Signals and logprobs are those of the model, before any bias.
    assert without[0]["entropy"] == unbiased["signals"][0]["entropy"]


def test_max_tokens(http: httpx2.Client, plain: dict[str, Any]) -> None:
    short = complete(http, max_tokens=3)[0]
    assert tokens(short) == tokens(plain)[:3]
    assert short["finish_reason"] == "length"
    none = complete(http, max_tokens=0, echo=True)[0]
    assert none["text"] == PROMPT
    assert "".join(tokens(none)) == PROMPT


@pytest.mark.parametrize("route", ["/v1/completions", "/v1/chat/completions"])
def test_max_tokens_beyond_the_context_are_what_it_holds_and_the_answer_says_so(
    http: httpx2.Client, route: str
) -> None:
    """LangChain asks for 256 whatever the context is."""
    given = {"messages": [{"role": "user", "content": PROMPT}]} if "chat" in route else {"prompt": PROMPT}
    body = given | {"ignore_eos": True, "seed": 1, "max_tokens": 256}
    answer = http.post(route, json=body).json()
    context = http.get("/v1/models/tiny").json()["context_length"]
    assert answer["usage"]["total_tokens"] == context
    room = context - answer["usage"]["prompt_tokens"]
    [warning] = answer["warnings"]
    assert "max_tokens is 256" in warning
    assert f"holds {room} more" in warning
    assert "warnings" not in http.post(route, json=body | {"max_tokens": room}).json()
    lines = http.post(route, json=body | {"stream": True}).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert [chunk.get("warnings") for chunk in chunks] == [[warning], *[None] * (len(chunks) - 1)]


def test_of_several_prompts_the_warning_counts_the_long_ones(http: httpx2.Client) -> None:
    body = {"prompt": [PROMPT, "a"], "max_tokens": 120, "ignore_eos": True}
    [warning] = http.post("/v1/completions", json=body).json()["warnings"]
    assert "1 of the 2 prompts" in warning


def test_a_list_of_biases_is_an_object_of_biases(http: httpx2.Client) -> None:
    """The first as llama.cpp has it, where false is never."""
    assert complete(http, logit_bias=[[5, 3.5], [6, False]]) == complete(
        http, logit_bias={"5": 3.5, "6": -100}
    )


def test_without_max_tokens_a_text_may_fill_the_context(http: httpx2.Client) -> None:
    body = {"prompt": PROMPT, "ignore_eos": True, "seed": 1}
    usage = http.post("/v1/completions", json=body).json()["usage"]
    assert usage["total_tokens"] == http.get("/v1/models/tiny").json()["context_length"]


def test_stop_string(http: httpx2.Client) -> None:
    text = complete(http, seed=9)[0]["text"]
    stop = next(text[i : i + 2] for i in range(4, len(text) - 2) if text[i : i + 2].isascii())
    stopped = complete(http, seed=9, stop=stop)[0]
    assert stopped["text"] == text[: text.index(stop)]
    assert stopped["finish_reason"] == "stop"
    assert stopped["stop_reason"] == stop
    assert complete(http, seed=9, stop=["never written", stop])[0] == stopped


def test_stop_token(http: httpx2.Client) -> None:
    written = complete(http, signals=["entropy"])[0]["signals"]
    ids = [row["token_id"] for row in written]
    stop = ids[5]
    stopped = complete(http, stop_token_ids=[stop], signals=["entropy"])[0]
    assert [row["token_id"] for row in stopped["signals"]] == ids[: ids.index(stop) + 1]
    assert (stopped["signals"][-1]["token"], stopped["logprobs"]["text_offset"][-1]) == (
        "",
        len(stopped["text"]),
    )
    assert stopped["stop_reason"] == stop


def test_the_end_token_ends_a_text_unless_ignored(http: httpx2.Client) -> None:
    end = http.get("/v1/models/tiny").json()["end_token_id"]
    ended = complete(http, ignore_eos=False, logit_bias={str(end): 100})[0]
    assert (ended["text"], ended["finish_reason"], ended["stop_reason"]) == ("", "stop", None)
    ignored = complete(http, logit_bias={str(end): 100})[0]
    assert ignored["finish_reason"] == "length"
    assert len(tokens(ignored)) == 16


def test_bytes_that_are_no_text_are_written_as_openai_does(http: httpx2.Client) -> None:
    rows = http.post("/v1/score", json={"input": "é"}).json()["data"][0]["tokens"]
    assert [row["token"] for row in rows] == ["bytes:\\xc3", "bytes:\\xa9"]
    ids = [row["token_id"] for row in rows]
    body = {
        "prompt": PROMPT,
        "max_tokens": 2,
        "logit_bias": {str(ids[0]): 100},
        "logprobs": 0,
        "stream": True,
    }
    # Half a character is held back; at the end it can only be replaced.
    received = http.post("/v1/completions", json=body).text
    assert '"text":""' in received
    assert "\ufffd" in received


def test_chat_takes_text_parts(http: httpx2.Client) -> None:
    parts = [{"type": "text", "text": PROMPT[:20]}, {"type": "text", "text": PROMPT[20:]}]
    answers = [
        http.post(
            "/v1/chat/completions",
            json={"messages": [{"role": "user", "content": content}], "seed": 1, "max_tokens": 8},
        ).json()["choices"]
        for content in (PROMPT, parts, PROMPT + "\n ")
    ]
    assert answers[0] == answers[1] == answers[2]
