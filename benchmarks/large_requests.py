"""Large requests, legal and hostile ones: those that once held up a server, and their kin."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BODY = 1_048_576 - 512
"""Bytes of the largest bodies here: just within what a server takes by default."""

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


@dataclass(frozen=True)
class Case:
    """A request. body: JSON, or None for a GET."""

    name: str
    path: str
    body: Callable[[], bytes] | None = None


def repeated(item: str, before: str = "", after: str = "", *, size: int = BODY) -> bytes:
    """A JSON list of as many equal items as fit a body, with text before and after."""
    count = (size - len(before) - len(after)) // (len(item) + 1)
    return (before + "[" + ",".join([item] * count) + "]" + after).encode()


def named(value: str, before: str = "", after: str = "") -> bytes:
    """A JSON object of as many different names as fit a body."""
    count = (BODY - len(before) - len(after)) // (len(value) + 10)
    fields = ",".join(f'"{number:06d}":{value}' for number in range(count))
    return (before + "{" + fields + "}" + after).encode()


def completion(**fields: object) -> Callable[[], bytes]:
    return lambda: json.dumps({"prompt": PROBLEM + "\n", "max_tokens": 1} | fields).encode()


def score(texts: int, tokens: int = 256, **fields: object) -> Callable[[], bytes]:
    return lambda: json.dumps({"input": [[7] * tokens] * texts} | fields).encode()


def field(name: str, value: str, *, rest: str = '"prompt":"a","max_tokens":1') -> Callable[[], bytes]:
    return lambda: f'{{{rest},"{name}":{value}}}'.encode()


COMPLETIONS, CHAT, SCORE = "/v1/completions", "/v1/chat/completions", "/v1/score"
COMPARE = "/v1/compare"
ARMS = '"arms":[{"name":"a","strategy":{"kind":"greedy"}}]'


def cases() -> Iterator[Case]:
    """The requests of issue 11, and their kin."""
    for route, name in ((COMPLETIONS, "prompt"), (SCORE, "input")):
        start = f'{{"{name}":'
        for item in ('[""]', '["a"]', '""', '"a"', "[]", "[1]", "7", "0.5", "{}", "null", "true", "[[1]]"):
            yield Case(f"{name} of {item}", route, lambda item=item, start=start: repeated(item, start, "}"))
        yield Case(
            f"{name} of ids and one text",
            route,
            lambda start=start: repeated("[7]", start, "}")[:-2] + b',["a"]]}',
        )
        yield Case(f"{name} of spaces", route, lambda start=start: f'{start}"{" " * (BODY - 20)}"}}'.encode())
        yield Case(
            f"{name} of letters", route, lambda start=start: f'{start}"{"ab " * (BODY // 3 - 20)}"}}'.encode()
        )
        yield Case(
            f"{name} of escapes",
            route,
            lambda start=start: f'{start}"'.encode() + b"\\u00e9" * (BODY // 6 - 20) + b'"}',
        )
        yield Case(
            f"{name} of 256 long texts",
            route,
            lambda start=start: f"{start}{json.dumps(['kites ' * 650] * 256)}}}".encode(),
        )
    yield Case("not JSON at its end", COMPLETIONS, lambda: repeated("{}", '{"prompt":', "")[:-1] + b"x")
    yield Case("numbers with fractions", COMPLETIONS, lambda: repeated("0.1", '{"prompt":', "}"))
    yield Case("deep lists", COMPLETIONS, lambda: b'{"prompt":' + b"[" * 1000 + b"]" * 1000 + b"}")
    yield Case("80,000 bad biases", COMPLETIONS, lambda: named('"x"', '{"prompt":"a","logit_bias":', "}"))
    yield Case("many biases", COMPLETIONS, lambda: named("1", '{"prompt":"a","logit_bias":', "}"))
    yield Case("pairs of biases", COMPLETIONS, lambda: repeated("[1,2]", '{"prompt":"a","logit_bias":', "}"))
    yield Case("unknown fields", COMPLETIONS, lambda: named("1"))
    yield Case(
        "one long unknown field", COMPLETIONS, lambda: f'{{"{"a" * (BODY - 40)}":1,"prompt":"a"}}'.encode()
    )
    yield Case(
        "unknown fields of a strategy",
        COMPLETIONS,
        lambda: named("1", '{"prompt":"a","strategy":', "}").replace(
            b'{"000000"', b'{"kind":"greedy","000000"'
        ),
    )
    yield Case(
        "unknown fields of a trigger",
        COMPLETIONS,
        lambda: named("1", '{"prompt":"a","strategy":{"kind":"retry_upon_regret","trigger":', "}}"),
    )
    yield Case(
        "a long kind",
        COMPLETIONS,
        lambda: f'{{"prompt":"a","strategy":{{"kind":"{"a" * (BODY - 60)}"}}}}'.encode(),
    )
    for name in (
        "stop",
        "stop_token_ids",
        "signals",
        "dry_sequence_breakers",
        "samplers",
        "n",
        "model",
        "user",
    ):
        for item in ('""', "[]", "-1"):
            yield Case(
                f"{name} of {item}",
                COMPLETIONS,
                lambda item=item, name=name: repeated(item, f'{{"prompt":"a","{name}":', "}"),
            )
        yield Case(
            f"one long {name}",
            COMPLETIONS,
            lambda name=name: f'{{"prompt":"a","{name}":["{"a" * (BODY - 60)}"]}}'.encode(),
        )
        yield Case(
            f"{name} of letters",
            COMPLETIONS,
            lambda name=name: f'{{"prompt":"a","{name}":"{"a" * (BODY - 60)}"}}'.encode(),
        )
    for item in ('{"role":"user"}', '{"role":"user","content":"a"}', "{}", "[]", "1", '{"role":1}'):
        yield Case(f"messages of {item}", CHAT, lambda item=item: repeated(item, '{"messages":', "}"))
    for item in ('{"type":"text","text":"a"}', "{}", '{"type":"x"}'):
        yield Case(
            f"parts of {item}",
            CHAT,
            lambda item=item: repeated(item, '{"messages":[{"role":"user","content":', "}]}"),
        )
    yield Case("unknown fields of a message", CHAT, lambda: b'{"messages":[' + named("1") + b"]}")
    for item in ("{}", '{"prompt":""}', '{"prompt":"a"}', '{"prompt":"a","answer":"1"}', "1"):
        yield Case(
            f"problems of {item}",
            COMPARE,
            lambda item=item: repeated(item, f'{{{ARMS},"problems":{{"source":"given","items":', "}}"),
        )
    for item in ("{}", "1", '{"name":"a","strategy":{"kind":"greedy"}}'):
        yield Case(f"arms of {item}", COMPARE, lambda item=item: repeated(item, '{"arms":', "}"))
    for item in ('"prompt":"a"', '"prompt":' + json.dumps("Kites are 7. " * 7000)):
        yield Case(
            f"check of {item[:12]}",
            "/v1/problems/check",
            lambda item=item: f'{{{item},"completion":"{"Kites: 7. " * 9000}"}}'.encode(),
        )
    yield Case("24 texts of 256, 20 alternatives", SCORE, score(24, top_logprobs=20))
    yield Case(
        "256 texts of 256, all signals", SCORE, score(256, signals=["entropy", "varentropy", "margin"])
    )
    yield Case("19 texts of 256, 20 alternatives", SCORE, score(19, top_logprobs=20))
    yield Case(
        "n 128, 20 alternatives, signals",
        COMPLETIONS,
        completion(n=128, max_tokens=190, logprobs=20, signals=["entropy", "margin"], ignore_eos=True),
    )
    yield Case(
        "the same, streamed",
        COMPLETIONS,
        completion(
            n=128, max_tokens=190, logprobs=20, signals=["entropy", "margin"], ignore_eos=True, stream=True
        ),
    )
    yield Case(
        "the same, as a chat",
        CHAT,
        lambda: json.dumps(
            {
                "messages": [{"role": "user", "content": PROBLEM}],
                "n": 128,
                "max_tokens": 190,
                "logprobs": True,
                "top_logprobs": 20,
                "signals": ["entropy"],
                "ignore_eos": True,
            }
        ).encode(),
    )
    yield Case(
        "echo of 240 tokens, n 128, 20 alternatives",
        COMPLETIONS,
        completion(prompt=[7] * 240, n=128, logprobs=20, echo=True, signals=["entropy"]),
    )
    yield Case(
        "the same, streamed",
        COMPLETIONS,
        completion(prompt=[7] * 240, n=128, logprobs=20, echo=True, signals=["entropy"], stream=True),
    )
    yield Case(
        "live with beams",
        COMPLETIONS,
        completion(
            n=8,
            max_tokens=100,
            logprobs=20,
            signals=["entropy"],
            stream=True,
            stream_options={"live": True},
            strategy={"kind": "beam", "width": 16},
        ),
    )
    yield Case("1000 problems of op 9", "/v1/problems?count=1000&op=9")
    yield Case("1000 problems of op 10", "/v1/problems?count=1000&op=10")
    yield Case("query of many fields", "/v1/problems?" + "&".join(f"a{number}=1" for number in range(6000)))
    yield Case("query with a long value", "/v1/problems?op=" + "1" * 60_000)
    for path in (
        "/openapi.json",
        "/docs",
        "/metrics",
        "/v1/probes",
        "/v1/models",
        "/v1/strategies",
        "/v1/signals",
        "/v1/compare",
        "/",
        "/web/js/main.js",
    ):
        yield Case(path, path)
