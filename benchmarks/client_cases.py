"""The cases of benchmarks/clients.py, run in its environment: python client_cases.py BASE_URL."""

# pyright: basic, reportMissingImports=false

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

os.environ |= {"OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}

import litellm
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langchain_openai import OpenAI as LangChainOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from openai import APIStatusError, OpenAI
from pydantic import BaseModel

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"
SYSTEM = "Answer in short steps."
MODEL = "igsm"

Case = tuple[str, Callable[[], object]]


class Answer(BaseModel):
    """What with_structured_output asks for."""

    number: int


def openai_cases(base: str) -> Iterator[Case]:
    client = OpenAI(base_url=base, max_retries=0)
    user: Any = {"role": "user", "content": PROBLEM}
    system: Any = {"role": "system", "content": SYSTEM}

    def chat(*messages: Any, **fields: Any) -> object:
        return (
            client.chat.completions.create(model=MODEL, messages=[*messages], **fields)
            .choices[0]
            .message.content
        )

    def streamed() -> object:
        chunks = client.chat.completions.create(
            model=MODEL, messages=[user], stream=True, stream_options={"include_usage": True}
        )
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    def parsed() -> object:
        return client.chat.completions.parse(model=MODEL, messages=[user], response_format=Answer)

    def completed(**fields: Any) -> object:
        return client.completions.create(model=MODEL, prompt=PROBLEM + "\n", **fields).choices[0].text

    yield "openai completions", completed
    yield "openai completions, max_tokens 256", lambda: completed(max_tokens=256)
    yield "openai completions, echo and logprobs", lambda: completed(echo=True, logprobs=1, max_tokens=8)
    yield "openai chat", lambda: chat(user)
    yield "openai chat, streamed", streamed
    yield "openai chat, system message", lambda: chat(system, user)
    yield "openai chat, named user", lambda: chat({**user, "name": "Ada"})
    yield "openai chat, two turns", lambda: chat(user, {"role": "assistant", "content": "Answer: 10"}, user)
    yield "openai chat, parse to a model", parsed
    yield "openai chat, max_tokens 4096", lambda: chat(user, max_tokens=4096)
    yield "openai models", lambda: client.models.list().data[0].id


def litellm_cases(base: str) -> Iterator[Case]:
    shared: dict[str, Any] = {
        "model": f"openai/{MODEL}",
        "api_base": base,
        "api_key": "none",
        "num_retries": 0,
    }
    user: Any = {"role": "user", "content": PROBLEM}
    system: Any = {"role": "system", "content": SYSTEM}

    def chat(*messages: Any, **fields: Any) -> object:
        return litellm.completion(messages=[*messages], **shared, **fields).choices[0].message.content

    def streamed() -> object:
        chunks = litellm.completion(messages=[user], stream=True, **shared)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    yield "litellm chat", lambda: chat(user)
    yield "litellm chat, streamed", streamed
    yield "litellm chat, system message", lambda: chat(system, user)
    yield (
        "litellm text completion",
        lambda: (
            litellm.text_completion(
                prompt=PROBLEM + "\n", **(shared | {"model": f"text-completion-openai/{MODEL}"})
            )
            .choices[0]
            .text
        ),
    )


def langchain_cases(base: str) -> Iterator[Case]:
    shared: dict[str, Any] = {"model": MODEL, "base_url": base, "max_retries": 0}

    def chat() -> ChatOpenAI:
        return ChatOpenAI(**shared)

    def text() -> LangChainOpenAI:
        return LangChainOpenAI(**shared)

    yield "langchain OpenAI (max_tokens 256)", lambda: text().invoke(PROBLEM + "\n")
    yield "langchain OpenAI, streamed", lambda: "".join(text().stream(PROBLEM + "\n"))
    yield "langchain OpenAI, batch", lambda: text().batch([PROBLEM + "\n"] * 2)[1]
    yield "langchain ChatOpenAI", lambda: chat().invoke(PROBLEM).content
    yield (
        "langchain ChatOpenAI, streamed",
        lambda: "".join(str(each.content) for each in chat().stream(PROBLEM)),
    )
    yield (
        "langchain ChatOpenAI, system message",
        lambda: chat().invoke([SystemMessage(SYSTEM), HumanMessage(PROBLEM)]).content,
    )
    for method in ("json_schema", "json_mode", "function_calling"):
        yield (
            f"langchain with_structured_output, {method}",
            lambda method=method: (
                chat().with_structured_output(Answer, method=method).invoke(PROBLEM + " JSON")
            ),
        )


def llama_index_cases(base: str) -> Iterator[Case]:
    def model(*, chat: bool) -> OpenAILike:
        return OpenAILike(
            model=MODEL, api_base=base, api_key="none", is_chat_model=chat, context_window=256, max_retries=0
        )

    user = ChatMessage(role="user", content=PROBLEM)
    yield "llama-index complete", lambda: model(chat=False).complete(PROBLEM + "\n").text
    yield "llama-index chat", lambda: model(chat=True).chat([user]).message.content
    yield "llama-index chat, streamed", lambda: [*model(chat=True).stream_chat([user])][-1].message.content
    yield (
        "llama-index chat, system message",
        lambda: model(chat=True).chat([ChatMessage(role="system", content=SYSTEM), user]).message.content,
    )


def reason_of(error: BaseException) -> str | None:
    """The server's own words, if it was the server that refused."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, APIStatusError) and seen.status_code < 500:
            body = seen.body if isinstance(seen.body, dict) else {}
            return f"{body.get('code')}: {body.get('message')}"
        seen = seen.__cause__ or seen.__context__
    return None


def run(case: Case) -> str:
    """The case's verdict, after its line was written."""
    name, call = case
    try:
        said = str(call()).strip().replace("\n", " / ")
        verdict, detail = ("OK", said[:60]) if said else ("FAILED", "an empty text")
    except Exception as error:
        reason = reason_of(error)
        verdict, detail = ("refused", reason) if reason else ("FAILED", f"{type(error).__name__}: {error}")
    sys.stdout.write(f"{name:44} {verdict:8} {detail[:160]}\n")
    sys.stdout.flush()
    return verdict


def main(base: str) -> int:
    verdicts = Counter(
        run(case)
        for of in (openai_cases, litellm_cases, langchain_cases, llama_index_cases)
        for case in of(base)
    )
    sys.stdout.write(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + "\n")
    return 1 if verdicts["FAILED"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
