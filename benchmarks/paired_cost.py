"""What does a token cost in processor time, here and in another checkout of this repository?

Serves the embedded checkpoint from both with `demur serve`, asks them in turns for the same completions, and
compares what `/metrics` says of their processor time. Uses nothing but the command and HTTP, so that any two
commits compare. Ratios of one run count; times drift from run to run.

    python benchmarks/paired_cost.py OTHER [--tokens 128] [--repeats 7]
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent.parent
PROMPT = "The number of each"
CASES: dict[str, tuple[dict[str, object], int]] = {
    "batch 1, streamed": ({"stream": True}, 4),
    "batch 1, whole": ({}, 4),
    "batch 32, streamed": ({"n": 32, "stream": True}, 1),
    "batch 32, whole": ({"n": 32}, 1),
    "batch 32, whole, with signals": (
        {"n": 32, "signals": ["entropy", "probe:step_error"], "logprobs": 2},
        1,
    ),
}
"""Fields of a request, and how many of them one after the other make a turn."""


@contextmanager
def serving(root: Path) -> Generator[int]:
    """Port of a server of the checkout."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--log-level", "error"]
    with subprocess.Popen(
        command, cwd=root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found, "the server did not say where it listens"
        port = int(found[1])
        try:
            while '"ok"' not in ask(port, "/health/ready"):
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()


def ask(port: int, path: str, body: dict[str, object] | None = None) -> str:
    """An answer's whole text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    content = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, content, {"content-type": "application/json"})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def processor_seconds(port: int) -> float:
    """What the server has used since its start."""
    found = re.search(r"^process_cpu_seconds_total (\S+)", ask(port, "/metrics"), re.MULTILINE)
    assert found
    return float(found[1])


def milliseconds_per_token(port: int, fields: dict[str, object], times: int, tokens: int, seed: int) -> float:
    before = processor_seconds(port)
    for number in range(times):
        body = {"prompt": PROMPT, "max_tokens": tokens, "ignore_eos": True, "seed": seed + number} | fields
        assert '"error"' not in ask(port, "/v1/completions", body)
    written = times * tokens * int(str(fields.get("n", 1)))
    return 1000 * (processor_seconds(port) - before) / written


def main(
    other: Annotated[Path, typer.Argument(help="Another checkout.")],
    tokens: Annotated[int, typer.Option(help="Tokens per completion.")] = 128,
    repeats: Annotated[int, typer.Option(help="Turns; medians are reported.")] = 7,
) -> None:
    """Print processor time per token of both, and the median ratio of here to there."""
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(root.resolve())) for root in (HERE, other)]
        for name, (fields, times) in CASES.items():
            measured: list[list[float]] = [[], []]
            for turn in range(repeats + 1):
                for which in (0, 1) if turn % 2 else (1, 0):
                    cost = milliseconds_per_token(ports[which], fields, times, tokens, 1000 * turn)
                    if turn:  # the first turn warms up
                        measured[which].append(cost)
            here, there = measured
            ratio = median(mine / theirs for mine, theirs in zip(here, there, strict=True))
            print(  # noqa: T201
                f"{name}: {median(here):.3f} ms per token here, {median(there):.3f} there, ratio {ratio:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    typer.run(main)
