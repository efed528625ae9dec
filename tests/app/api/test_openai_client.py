"""The official client, unchanged, against a real server process."""

import math
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tests.app.api.server import Server

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROBLEM}]


def complete(client: OpenAI, *, seed: int = 1, max_tokens: int = 12, **own: object) -> Completion:
    return client.completions.create(
        model="tiny", prompt=PROBLEM, seed=seed, max_tokens=max_tokens, extra_body=own
    )


def chat(client: OpenAI, *, seed: int = 1, max_tokens: int = 12, **own: object) -> ChatCompletion:
    return client.chat.completions.create(
        model="tiny", messages=MESSAGES, seed=seed, max_completion_tokens=max_tokens, extra_body=own
    )


def test_completion_has_the_shape_of_openai(client: OpenAI) -> None:
    answer = complete(client, ignore_eos=True)
    assert answer.object == "text_completion"
    assert answer.model == "tiny"
    assert answer.id.startswith("cmpl-")
    assert answer.system_fingerprint is not None
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_chat_has_the_shape_of_openai(client: OpenAI) -> None:
    answer = chat(client)
    assert answer.object == "chat.completion"
    message = answer.choices[0].message
    assert message.role == "assistant"
    assert message.refusal is None
    assert message.content is not None


def test_chat_is_the_completion_of_problem_and_line_break(client: OpenAI) -> None:
    answer = chat(client)
    same = client.completions.create(model="tiny", prompt=PROBLEM + "\n", seed=1, max_tokens=12)
    assert answer.choices[0].message.content == same.choices[0].text
    assert answer.usage is not None
    assert same.usage is not None
    assert answer.usage.prompt_tokens == same.usage.prompt_tokens


def test_completion_stream_adds_up_to_the_whole(client: OpenAI) -> None:
    whole = client.completions.create(
        model="tiny", prompt=[PROBLEM, "How many kites?"], n=2, seed=5, max_tokens=12, logprobs=2
    )
    stream = client.completions.create(
        model="tiny",
        prompt=[PROBLEM, "How many kites?"],
        n=2,
        seed=5,
        max_tokens=12,
        logprobs=2,
        stream=True,
        stream_options={"include_usage": True},
    )
    texts = ["", "", "", ""]
    tokens: list[list[str]] = [[], [], [], []]
    offsets: list[list[int]] = [[], [], [], []]
    reasons: list[str | None] = [None] * 4
    usages: list[object] = []
    for chunk in stream:
        assert chunk.usage is None or not chunk.choices
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.logprobs:
                tokens[choice.index] += choice.logprobs.tokens or []
                offsets[choice.index] += choice.logprobs.text_offset or []
            reasons[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert tokens == [choice.logprobs.tokens for choice in whole.choices if choice.logprobs]
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices if choice.logprobs]
    assert [getattr(usage, "completion_tokens", None) for usage in usages] == [
        whole.usage.completion_tokens if whole.usage else None
    ]


def test_chat_stream_adds_up_to_the_whole(client: OpenAI) -> None:
    whole = client.chat.completions.create(
        model="tiny", messages=MESSAGES, n=2, seed=5, max_tokens=12, logprobs=True, top_logprobs=2
    )
    contents: list[str] = ["", ""]
    tokens: list[list[str]] = [[], []]
    roles: list[str | None] = [None, None]
    reasons: list[str | None] = [None, None]
    usage = None
    for chunk in client.chat.completions.create(
        model="tiny",
        messages=MESSAGES,
        n=2,
        seed=5,
        max_tokens=12,
        logprobs=True,
        top_logprobs=2,
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            contents[choice.index] += choice.delta.content or ""
            roles[choice.index] = choice.delta.role or roles[choice.index]
            reasons[choice.index] = choice.finish_reason
            if choice.logprobs:
                tokens[choice.index] += [item.token for item in choice.logprobs.content or []]
    assert contents == [choice.message.content for choice in whole.choices]
    assert roles == ["assistant", "assistant"]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert tokens == [
        [item.token for item in choice.logprobs.content or []] for choice in whole.choices if choice.logprobs
    ]
    assert usage is not None
    assert usage == whole.usage


def test_chat_logprobs_are_sorted_alternatives_with_bytes(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=MESSAGES, seed=2, max_tokens=8, logprobs=True, top_logprobs=20
    )
    assert answer.choices[0].logprobs is not None
    content = answer.choices[0].logprobs.content
    assert content
    for item in content:
        logprobs = [other.logprob for other in item.top_logprobs]
        assert len(logprobs) == 20
        assert logprobs == sorted(logprobs, reverse=True)
        assert sum(math.exp(value) for value in logprobs) <= 1 + 1e-5
    written = b"".join(bytes(item.bytes or []) for item in content)
    assert written.decode(errors="replace") == answer.choices[0].message.content


def test_completion_logprobs_hold_the_written_token(client: OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt=PROBLEM, seed=2, max_tokens=8, logprobs=0)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens
    assert logprobs.token_logprobs
    assert logprobs.top_logprobs == [
        {token: logprob} for token, logprob in zip(logprobs.tokens, logprobs.token_logprobs, strict=True)
    ]


def test_echo_repeats_the_prompt_and_its_logprobs(client: OpenAI) -> None:
    answer = client.completions.create(
        model="tiny", prompt=PROBLEM, seed=2, max_tokens=4, logprobs=1, echo=True
    )
    alone = client.completions.create(model="tiny", prompt=PROBLEM, seed=2, max_tokens=4, logprobs=1)
    choice, logprobs = answer.choices[0], answer.choices[0].logprobs
    assert choice.text == PROBLEM + alone.choices[0].text
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.text_offset is not None
    assert alone.choices[0].logprobs is not None
    assert alone.choices[0].logprobs.tokens is not None
    in_prompt = len(logprobs.tokens) - len(alone.choices[0].logprobs.tokens)
    assert "".join(logprobs.tokens[:in_prompt]) == PROBLEM
    assert logprobs.token_logprobs[0] is None
    assert None not in logprobs.token_logprobs[1:]
    assert logprobs.tokens[in_prompt:] == alone.choices[0].logprobs.tokens
    for token, start in zip(logprobs.tokens[:in_prompt], logprobs.text_offset[:in_prompt], strict=True):
        assert choice.text[start:].startswith(token)
    assert logprobs.text_offset[in_prompt] == len(PROBLEM)


def test_signals_come_beside_logprobs(client: OpenAI) -> None:
    answer = complete(client, signals=["surprisal", "entropy"], logprobs=0)
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert choice.model_extra is not None
    rows: list[dict[str, Any]] = choice.model_extra["signals"]
    assert [row["token"] for row in rows] == choice.logprobs.tokens
    assert [-row["surprisal"] for row in rows] == pytest.approx(choice.logprobs.token_logprobs)
    assert all(set(row) == {"token", "token_id", "surprisal", "entropy"} for row in rows)


def test_usage_says_what_was_discarded(client: OpenAI) -> None:
    answer = complete(client)
    assert answer.usage is not None
    details = answer.usage.completion_tokens_details
    assert details is not None
    assert details.model_extra == {"discarded_tokens": 0}


def test_models(client: OpenAI) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == ["tiny"]
    assert client.models.retrieve("tiny") == listed[0]
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-4")
    assert raised.value.code == "model_not_found"


def test_bad_requests_raise_the_clients_own_exceptions(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="n is 0") as raised:
        client.completions.create(model="tiny", prompt=PROBLEM, n=0)
    assert raised.value.param == "n"
    assert raised.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError, match="'gpt-4'") as missing:
        client.completions.create(model="gpt-4", prompt=PROBLEM)
    assert missing.value.code == "model_not_found"
    assert missing.value.request_id == missing.value.response.headers["x-request-id"]


def test_a_wrong_key_raises_authentication_error(narrow_server: Server) -> None:
    with (
        OpenAI(base_url=f"{narrow_server.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="API key"),
    ):
        client.models.list()
    with OpenAI(base_url=f"{narrow_server.url}/v1", api_key="secret", max_retries=0) as client:
        assert client.models.list().data[0].id == "tiny"
