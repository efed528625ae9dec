"""How far does a streamed token go? Counts our own functions and files on its way.

Serves a checkpoint in this process (the real application on real uvicorn), streams a short and a long
completion of one prompt, and counts under `sys.setprofile`, in all threads, which functions of `app`,
`models` and `probes` begin or are resumed, comprehensions among them. What the long one has more than the
short one, divided by the tokens that it has more, is what a token costs: what begins and ends an answer falls
out. A file counts if every other token or more goes through it.

    python benchmarks/token_path.py [CHECKPOINT] [--list]
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated, Any

import typer
import uvicorn

from app.main import create_app
from app.settings import EMBEDDED_CHECKPOINT, Settings

ROOT = Path(__file__).resolve().parent.parent
OURS = tuple(str(ROOT / name) for name in ("app", "models", "probes"))
SHORT, LONG = 20, 84
PROMPT = "The number of each"

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "greedy": {"temperature": 0},
    "signals and logprobs": {"signals": ["entropy", "varentropy"], "logprobs": 2, "top_p": 0.9},
    "a probe": {"signals": ["probe:step_error"]},
}


@dataclass
class Trace:
    """Calls by function, and the same in order with the thread of each."""

    calls: Counter[CodeType] = field(default_factory=Counter[CodeType])
    order: list[tuple[str, CodeType]] = field(default_factory=list[tuple[str, CodeType]])

    def clear(self) -> None:
        self.calls.clear()
        self.order.clear()

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `sys.setprofile`."""
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            self.calls[frame.f_code] += 1
            self.order.append((threading.current_thread().name, frame.f_code))


def name_of(code: CodeType) -> str:
    return f"{Path(code.co_filename).relative_to(ROOT)}:{code.co_qualname}"


@contextmanager
def serving(checkpoint: Path) -> Generator[int]:
    """Port of a server in a thread of its own."""
    settings = Settings(checkpoint=checkpoint)
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, http=app.state.protocol, ws="none", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    while not (server.started and app.state.service.serving):
        time.sleep(0.05)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def stream(port: int, tokens: int, fields: dict[str, Any]) -> None:
    """Read one streamed completion to its end."""
    body = {"prompt": PROMPT, "max_tokens": tokens, "ignore_eos": True, "seed": 1, "stream": True} | fields
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, text
    assert text.endswith("data: [DONE]\n\n"), text
    connection.close()


def per_token(trace: Trace, port: int, fields: dict[str, Any]) -> dict[CodeType, float]:
    """Calls of every function per token."""
    counts: list[Counter[CodeType]] = []
    for tokens in (LONG, SHORT, LONG):  # the first one fills the caches
        time.sleep(0.1)
        trace.clear()
        stream(port, tokens, fields)
        time.sleep(0.1)
        counts.append(trace.calls.copy())
    _, short, long = counts
    return {code: (long[code] - short[code]) / (LONG - SHORT) for code in long}


def one_token(order: list[tuple[str, CodeType]]) -> list[tuple[str, CodeType]]:
    """What ran between two forward passes in the middle of an answer."""
    steps = [place for place, (_, code) in enumerate(order) if code.co_qualname.endswith("Decoder.step")]
    middle = len(steps) // 2
    return order[steps[middle] : steps[middle + 1]]


def main(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint folder.")] = EMBEDDED_CHECKPOINT,
    listed: Annotated[bool, typer.Option("--list", help="Also list the functions of one token.")] = False,
) -> None:
    """Print calls and files per streamed token."""
    trace = Trace()
    threading.setprofile(trace.profile)
    with serving(checkpoint) as port:
        for name, fields in CASES.items():
            costs = per_token(trace, port, fields)
            files = {code.co_filename for code, calls in costs.items() if calls >= 0.5}
            print(f"{name}: {sum(costs.values()):.1f} calls, {len(files)} files per token")  # noqa: T201
            if listed:
                for thread, code in one_token(trace.order):
                    print(f"    {thread:14} {name_of(code)}")  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
