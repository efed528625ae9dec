"""A model of another make over HTTP: what its tokenizer adds, its chat template, all that ends its texts."""

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from tests.app.api.server import running_server
from tests.models.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPT = "Water boils at"
USER = {"role": "user", "content": PROMPT}
SYSTEM = {"role": "system", "content": "Be kind."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "llama"
    path.mkdir()
    FAMILIES["llama"].write(path)
    return path


@pytest.fixture(scope="module")
def auto(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def foreign(folder: Path) -> Generator[httpx2.Client]:
    with running_server(folder) as running, httpx2.Client(base_url=running.url, timeout=60) as client:
        yield client


def post(client: httpx2.Client, route: str, **body: Any) -> dict[str, Any]:
    response = client.post(route, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: httpx2.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    return response.json()["error"]


def test_a_prompt_begins_as_its_tokenizer_begins_it(foreign: httpx2.Client, auto: Any) -> None:
    ids = auto(PROMPT).input_ids
    asked: dict[str, Any] = {"max_tokens": 4, "temperature": 0}
    whole = post(foreign, "/v1/completions", prompt=PROMPT, **asked)
    assert whole["usage"]["prompt_tokens"] == len(ids)
    assert whole["choices"] == post(foreign, "/v1/completions", prompt=ids, **asked)["choices"]
    bare = post(foreign, "/v1/completions", prompt=PROMPT, add_special_tokens=False, **asked)
    assert bare["usage"]["prompt_tokens"] == len(ids) - 1
    assert bare["choices"] == post(foreign, "/v1/completions", prompt=ids[1:], **asked)["choices"]


def test_what_was_added_has_its_row_and_no_text(foreign: httpx2.Client, auto: Any) -> None:
    ids = auto(PROMPT).input_ids
    asked: dict[str, Any] = {"prompt": PROMPT, "echo": True, "logprobs": 0, "max_tokens": 1}
    (choice,) = post(foreign, "/v1/completions", **asked)["choices"]
    assert choice["text"].startswith(PROMPT)
    assert len(choice["logprobs"]["tokens"]) == len(ids) + 1
    assert choice["logprobs"]["token_logprobs"][0] is None
    scored = post(foreign, "/v1/score", input=PROMPT)["data"][0]["tokens"]
    assert [row["token_id"] for row in scored] == ids
    assert [row["logprob"] for row in scored] == choice["logprobs"]["token_logprobs"][:-1]
    bare = post(foreign, "/v1/score", input=PROMPT, add_special_tokens=False)
    assert [row["token_id"] for row in bare["data"][0]["tokens"]] == ids[1:]


def test_a_chat_is_what_the_template_makes_of_it(foreign: httpx2.Client, auto: Any) -> None:
    chat = [SYSTEM, USER, {"role": "assistant", "content": "100"}, {"role": "user", "content": "Why?"}]
    ids = auto.apply_chat_template(chat, add_generation_prompt=True).input_ids
    asked: dict[str, Any] = {"max_tokens": 5, "temperature": 0}
    answer = post(foreign, "/v1/chat/completions", messages=chat, **asked)
    assert answer["usage"]["prompt_tokens"] == len(ids)
    (written,) = post(foreign, "/v1/completions", prompt=ids, **asked)["choices"]
    assert answer["choices"][0]["message"]["content"] == written["text"]
    assert "warnings" not in answer
    more = post(foreign, "/v1/chat/completions", messages=chat, add_special_tokens=True, **asked)
    assert more["usage"]["prompt_tokens"] == len(ids) + 1


def test_text_parts_names_and_what_clients_send_along_are_taken(foreign: httpx2.Client) -> None:
    parts = [{"type": "text", "text": "Water "}, {"type": "text", "text": "boils at"}]
    said = {"role": "assistant", "content": "So?", "refusal": None, "tool_calls": None, "annotations": []}
    asked: dict[str, Any] = {"max_tokens": 5, "temperature": 0}
    plain = [USER, {"role": "assistant", "content": "So?"}, USER]
    answer = post(foreign, "/v1/chat/completions", messages=plain, **asked)
    odd = [{"role": "user", "content": parts, "name": "bob"}, said, USER]
    assert answer["choices"] == post(foreign, "/v1/chat/completions", messages=odd, **asked)["choices"]
    told = [{"role": "developer", "content": "Be kind."}, USER]
    told_system = post(foreign, "/v1/chat/completions", messages=[SYSTEM, USER], **asked)
    assert told_system["choices"] == post(foreign, "/v1/chat/completions", messages=told, **asked)["choices"]


def test_a_chat_ends_where_the_request_says(foreign: httpx2.Client, auto: Any) -> None:
    begun = [USER, {"role": "assistant", "content": "At 100"}]
    asked: dict[str, Any] = {"max_tokens": 5, "temperature": 0}
    for fields in ({"add_generation_prompt": False}, {"continue_final_message": True}):
        ids = auto.apply_chat_template(begun, **fields).input_ids
        answer = post(foreign, "/v1/chat/completions", messages=begun, **fields, **asked)
        assert answer["usage"]["prompt_tokens"] == len(ids)
        (written,) = post(foreign, "/v1/completions", prompt=ids, **asked)["choices"]
        assert answer["choices"][0]["message"]["content"] == written["text"]
    both = refused(foreign, messages=begun, add_generation_prompt=True, continue_final_message=True)
    assert (both["param"], both["code"]) == ("continue_final_message", "conflicting_fields")


def test_names_of_special_tokens_are_parsed_or_not(foreign: httpx2.Client, auto: Any) -> None:
    text = "Say <|eot_id|> now"
    for route, field in (("/v1/completions", "prompt"), ("/v1/score", "input")):
        parsed, literal = (
            post(foreign, route, **{field: text, "parse_special": each})["usage"]["prompt_tokens"]
            for each in (True, False)
        )
        assert parsed == len(auto(text).input_ids)
        assert literal == len(auto(text, split_special_tokens=True).input_ids) > parsed


@pytest.mark.parametrize("stream", [False, True])
def test_special_tokens_are_shown_if_they_are_not_skipped(
    foreign: httpx2.Client, auto: Any, stream: bool
) -> None:
    """All but the one that ends the text, as in vLLM; what is shown can be a stop string."""
    name = "<|start_header_id|>"
    asked: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 3, "temperature": 0, "logprobs": 0}
    asked["logit_bias"] = {str(auto.convert_tokens_to_ids(name)): 100}

    def text(**given: Any) -> str:
        body = {**asked, **given}
        if not stream:
            return post(foreign, "/v1/completions", **body)["choices"][0]["text"]
        with foreign.stream("POST", "/v1/completions", json=body | {"stream": True}) as answer:
            lines = [
                line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: {")
            ]
        return "".join(choice["text"] for line in lines for choice in json.loads(line)["choices"])

    assert text() == ""
    assert text(skip_special_tokens=False) == name * 3
    assert text(skip_special_tokens=False, stop=["id|><|st"]) == "<|start_header_"
    end = {str(auto.convert_tokens_to_ids("<|eot_id|>")): 100}
    assert text(skip_special_tokens=False, logit_bias=end) == ""
    assert text(skip_special_tokens=False, logit_bias=end, ignore_eos=True) == "<|eot_id|>" * 3
    if not stream:
        (choice,) = post(foreign, "/v1/completions", **asked, skip_special_tokens=False)["choices"]
        assert choice["logprobs"]["tokens"] == [name] * 3


def test_what_a_model_recommends_is_used_only_when_asked_for(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "llama")
    file = tmp_path / "llama" / "generation_config.json"
    recommended = {"temperature": 0.25, "top_k": 7, "top_p": 0.5, "do_sample": True}
    file.write_text(json.dumps(json.loads(file.read_text()) | recommended))
    with running_server(tmp_path / "llama") as running, httpx2.Client(base_url=running.url) as client:
        plain, asked, over = (
            post(client, route, max_tokens=1, **said, **fields)["sampling"]
            for route, said, fields in (
                ("/v1/completions", {"prompt": "a"}, {}),
                ("/v1/chat/completions", {"messages": [USER]}, {"use_generation_config": True}),
                ("/v1/completions", {"prompt": "a"}, {"use_generation_config": True, "top_k": 0}),
            )
        )
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    assert plain.items() >= {"temperature": 1.0}.items()
    assert {name: asked.get(name, off[name]) for name in off} == {
        "temperature": 0.25,
        "top_k": 7,
        "top_p": 0.5,
    }
    assert {name: over.get(name, off[name]) for name in off} == {
        "temperature": 0.25,
        "top_k": 0,
        "top_p": 0.5,
    }
    assert not {"top_k", "top_p"} & plain.keys()


def test_a_chat_of_three_turns_through_the_official_client(foreign: httpx2.Client, auto: Any) -> None:
    url = str(foreign.base_url).rstrip("/")
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        chat: list[Any] = [SYSTEM]
        for question in ("Who are you?", "\u60a8\u597d \U0001f6f6", "Why?"):
            chat.append({"role": "user", "content": question})
            answer = client.chat.completions.create(
                model="llama", messages=chat, max_tokens=8, temperature=0, seed=1
            )
            ids = auto.apply_chat_template(chat, add_generation_prompt=True).input_ids
            assert answer.usage is not None
            assert answer.usage.prompt_tokens == len(ids)
            chat.append({"role": "assistant", "content": answer.choices[0].message.content})


def test_characters_of_several_tokens_are_streamed_whole(foreign: httpx2.Client, auto: Any) -> None:
    """The tokens are bytes of characters, in any order; the pieces are what the text is as a whole."""
    text = "\U0001f6f6\u60a8"
    ids = auto(text, add_special_tokens=False).input_ids
    assert len(ids) == len(text.encode()), "no character is a token"
    prompt = auto("a").input_ids
    bias = {str(each): 100 for each in ids}
    body = {"prompt": prompt, "max_tokens": 60, "logit_bias": bias, "stream": True, "seed": 3}
    with foreign.stream("POST", "/v1/completions", json=body) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: {")]
    pieces = [choice["text"] for line in lines for choice in json.loads(line)["choices"]]
    whole = post(foreign, "/v1/completions", **{**body, "stream": False})["choices"][0]["text"]
    assert "".join(pieces) == whole
    assert len(pieces) > 1


@pytest.mark.parametrize("end", FAMILIES["llama"].ends)
@pytest.mark.parametrize("route", ["/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_every_end_token_ends_a_text_and_is_none_of_it(
    foreign: httpx2.Client, auto: Any, end: str, route: str, kind: str
) -> None:
    listed = foreign.get("/v1/models").json()["data"][0]
    ids = [auto.convert_tokens_to_ids(each) for each in FAMILIES["llama"].ends]
    assert (listed["end_token_id"], listed["end_token_ids"]) == (ids[0], ids)
    said: dict[str, Any] = {"messages": [USER]} if "chat" in route else {"prompt": PROMPT}
    bias = {str(auto.convert_tokens_to_ids(end)): 100}
    asked = said | {"max_tokens": 6, "logit_bias": bias, "strategy": {"kind": kind}}
    (choice,) = post(foreign, route, **asked)["choices"]
    assert choice["finish_reason"] == "stop"
    assert (choice["message"]["content"] if "chat" in route else choice["text"]) == ""
    (longer,) = post(foreign, route, **asked, ignore_eos=True)["choices"]
    assert longer["finish_reason"] == "length"
    assert (longer["message"]["content"] if "chat" in route else longer["text"]) == ""


def test_a_strategy_that_lacks_a_signal_is_named_with_what_can_be_done(foreign: httpx2.Client) -> None:
    """The request itself names no signal."""
    lacking = 0
    for listed in foreign.get("/v1/strategies").json()["data"]:
        asked = {"prompt": PROMPT, "max_tokens": 2, "strategy": {"kind": listed["kind"]}}
        response = foreign.post("/v1/completions", json=asked)
        assert (response.status_code == 200) == (listed["unavailable"] is None)
        if response.status_code != 200:
            error = response.json()["error"]
            assert error["param"] == "strategy"
            assert error["message"] == listed["unavailable"]
            lacking += "probe:" in error["message"]
    assert lacking > 3


def test_a_role_without_a_meaning_is_refused(foreign: httpx2.Client) -> None:
    error = refused(foreign, messages=[USER, {"role": "tool", "content": "4", "tool_call_id": "a"}])
    assert error["param"] == "messages[1].role"
    assert "calls no tools" in error["message"]


def test_a_model_without_a_template_refuses_chats_and_says_so(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with running_server(tmp_path) as running, httpx2.Client(base_url=running.url, timeout=60) as client:
        error = refused(client, messages=[USER])
        assert (error["code"], error["param"]) == ("no_chat_template", "messages")
        assert "/v1/completions" in error["message"]
        assert "chat_template.jinja" in error["message"]
        post(client, "/v1/completions", prompt=PROMPT, max_tokens=1)


class TestOurs:
    """The embedded model's own template, on the shared server."""

    def test_the_last_problem_is_the_prompt_and_the_rest_is_named(self, http: httpx2.Client) -> None:
        asked: dict[str, Any] = {"max_tokens": 8, "seed": 3}
        alone = post(http, "/v1/chat/completions", messages=[{"role": "user", "content": "A? \n"}], **asked)
        assert "warnings" not in alone
        turns = [{"role": "user", "content": "7"}, {"role": "assistant", "content": "A"}]
        chat = [SYSTEM, *turns, {"role": "user", "content": "A?"}]
        answer = post(http, "/v1/chat/completions", messages=chat, **asked)
        assert answer["choices"] == alone["choices"]
        assert answer["usage"] == alone["usage"] | {
            "prompt_tokens_details": answer["usage"]["prompt_tokens_details"]
        }
        left_out = ["messages[0] (system)", "messages[1] (user)", "messages[2] (assistant)"]
        assert answer["warnings"] == [
            f"{each} is not in the prompt: the model's chat template leaves it out" for each in left_out
        ]

    def test_a_stream_says_it_once(self, http: httpx2.Client) -> None:
        chat = [SYSTEM, USER]
        response = http.post("/v1/chat/completions", json={"messages": chat, "max_tokens": 4, "stream": True})
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        assert [len(chunk.get("warnings", [])) for chunk in chunks] == [1] + [0] * (len(chunks) - 1)

    @pytest.mark.parametrize("messages", [[SYSTEM], [SYSTEM, {"role": "user", "content": "\n"}]])
    def test_a_chat_without_a_problem_is_refused_in_the_templates_words(
        self, http: httpx2.Client, messages: list[dict[str, str]]
    ) -> None:
        error = refused(http, messages=messages)
        assert error["code"] == "chat_template_error"
        assert "empty or missing; it must hold a problem" in error["message"]
