"""What every worker does: load a model once, then time what it is asked for, line by line.

Runs in the environment of a peer, so it imports nothing but the standard library. A line in is
`{"prompts": [[ids]], "tokens": n}`; a line out has what was written, seconds on the clock and of the
processor, and memory.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

Prompts = list[list[int]]
Write = Callable[[Prompts, int], list[list[int]]]
"""Completes all prompts at once, greedily and past any end, by as many tokens; what it wrote."""


@dataclass(frozen=True)
class Task:
    """What a worker is started with: the model's folder, the numbers' kind, and the most it will be asked."""

    folder: Path
    precision: str
    threads: int
    rows: int
    context: int


def answer(load: Callable[[Task], Write], arguments: Sequence[str] | None = None) -> None:
    """Load, say so, and answer lines until there are no more."""
    task = _task(arguments)
    # What libraries print goes to stderr, so that it never comes between the answers.
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    write = load(task)
    _say(said, {"ready": time.process_time(), "memory": _memory("VmRSS")})
    for line in sys.stdin:
        asked = json.loads(line)
        clock, processor = time.perf_counter(), time.process_time()
        texts = write(asked["prompts"], asked["tokens"])
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        _say(said, {"texts": texts, "clock": clock, "cpu": processor, "peak": _memory("VmHWM")})


def _task(arguments: Sequence[str] | None) -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("precision")
    for name in ("threads", "rows", "context"):
        parser.add_argument(name, type=int)
    return Task(**vars(parser.parse_args(arguments)))


def _say(said: TextIO, what: dict[str, object]) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


def _memory(name: str) -> float:
    """Of this process, in MB, by Linux's account."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(name))
