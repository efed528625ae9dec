"""A model of another make over HTTP: what its tokenizer adds, its chat template, all that ends its texts."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

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
