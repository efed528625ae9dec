"""How long /health/live takes while large requests are answered, legal and hostile ones.

    python -m benchmarks.liveness [--checkpoint FOLDER] [--only WORD] [--rounds 3]

A server process is started, and asked for its health all the time while each request runs. A line is one
request: its status and seconds, the size of its answer, and of the health answers during it the slowest, in
wall time and in processor time of the server (all its threads), less what an idle server takes.
The last column is how much memory the server had beyond what it had before, at most.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BODY = 1_048_576 - 512
"""Bytes of the largest bodies here: just within what a server takes by default."""

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


@dataclass(frozen=True)
class Case:
    """A request. body: JSON, or None for a GET."""

    name: str
    path: str
    body: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Health:
    """One answer of /health/live: seconds of wall time, and of processor time of the server."""

    wall: float
    processor: float


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
            lambda start=start: (
                f'{start}"{chr(92) + "u00e9"}'.encode() * 1 + b"\\u00e9" * (BODY // 6 - 20) + b'"}'
            ),
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
    yield Case(
        "10,000 problems of op 9",
        COMPARE,
        field("problems", '{"source":"corpus","ops":[9,9],"count":10000}', rest=ARMS),
    )
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


@dataclass
class Server:
    """A running `demur serve`."""

    process: subprocess.Popen[str]
    host: str
    port: int

    def processor(self) -> float:
        """Seconds of processor time of all its threads, in nanoseconds' steps where the system has them."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total / 1e9

    def memory(self) -> int:
        """Bytes of memory that it has now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096


@contextmanager
def serving(checkpoint: str | None) -> Iterator[Server]:
    """Start a server on a free port, wait until it is ready, and stop it at the end."""
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"]
    command += [] if checkpoint is None else ["--checkpoint", checkpoint]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    port = 0
    for line in process.stderr:
        if "demur listens on" in line:
            port = int(re.findall(r"listens on \S+?:(\d+)", line)[0])
        if " serving " in f" {line}" and " from " in line:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield Server(process, "127.0.0.1", port)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def watch(server: Server, over: Callable[[], bool]) -> list[Health]:
    """Ask for health until `over`."""
    answers: list[Health] = []
    connection = http.client.HTTPConnection(server.host, server.port, timeout=600)
    while not over():
        began, used = time.perf_counter(), server.processor()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        answers.append(Health(time.perf_counter() - began, server.processor() - used))
        time.sleep(0.002)
    connection.close()
    return answers


def send(server: Server, case: Case, content: bytes | None) -> tuple[int, int, bytes]:
    """Status, size and beginning of the answer."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=600)
    headers = {"content-type": "application/json"}
    connection.request("GET" if content is None else "POST", case.path, content, headers)
    response = connection.getresponse()
    received = response.read()
    connection.close()
    return response.status, len(received), received[:160]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint")
    parser.add_argument("--only", default="")
    parser.add_argument("--above", type=float, default=0.0, help="only lines of so many ms of processor time")
    asked = parser.parse_args()
    with serving(asked.checkpoint) as server:
        until = time.monotonic() + 2
        idle = watch(server, lambda: time.monotonic() > until)
        usual = sorted(each.processor for each in idle)[len(idle) // 2]
        print(f"idle: {usual * 1e3:.1f} ms of processor time, {len(idle)} answers")
        print(f"{'request':44} status seconds   answer  wall ms  processor ms  memory")
        worst = 0.0
        for case in cases():
            if asked.only not in case.name:
                continue
            content = None if case.body is None else case.body()
            before, most = server.memory(), 0
            done: list[tuple[int, int, bytes]] = []
            began = time.perf_counter()
            sender = threading.Thread(target=lambda: done.append(send(server, case, content)))
            sender.start()
            answers: list[Health] = []
            while sender.is_alive():
                answers += watch(server, lambda: len(answers) >= 0 and not sender.is_alive())
                most = max(most, server.memory())
            seconds = time.perf_counter() - began
            status, size, said = done[0]
            wall = max((each.wall for each in answers), default=0.0)
            late = max((each.processor - usual for each in answers), default=0.0)
            worst = max(worst, late)
            if late * 1e3 >= asked.above:
                print(
                    f"{case.name[:44]:44} {status:6} {seconds:7.2f} {size:8} {wall * 1e3:8.0f} {late * 1e3:13.0f} "
                    f"{(max(most, before) - before) / 2**20:6.0f}M {said[:0].decode()}",
                    flush=True,
                )
        print(f"worst: {worst * 1e3:.0f} ms of processor time later than idle")


if __name__ == "__main__":
    main()
