"""Faults from outside: clients that vanish at every point of a request, and SIGTERM at every point."""

import argparse
import json
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx2

from benchmarks.fault_tools import Unmet, answers, bodies, idle, reported, require, submit
from benchmarks.served import Served, served

DRAIN = 2.0
AFTER_THE_DRAIN = 8.0
"""What `demur serve` may take beyond it, and what a busy machine may add."""
PROMPT = "Boats are 3 times kites. Kites are 7. How many boats?"
STREAM = {"prompt": PROMPT, "max_tokens": 120, "ignore_eos": True, "stream": True, "n": 4}


def vanishing(asked: argparse.Namespace) -> str:
    """A client that goes after every part of a request, politely or not."""
    content = json.dumps(STREAM | {"strategy": {"kind": "self_consistency", "samples": 8}}).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    whole = head + b"content-length: %d\r\n\r\n" % len(content) + content
    plain = json.dumps(STREAM).encode()
    stream = head + b"content-length: %d\r\n\r\n" % len(plain) + plain
    points = [0, 1, len(head) // 2, len(head), len(whole) - len(content), len(whole) - 5, len(whole)]
    tried = 0
    with served() as server:
        parts = urlsplit(server.url)
        for reset in (False, True):
            for sent, heard in [(whole[:point], 0) for point in points] + [
                (stream, each) for each in (1, 4000)
            ]:
                with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
                    sock.sendall(sent)
                    received = 0
                    while received < heard and (part := sock.recv(1000)):
                        received += len(part)
                    time.sleep(0.05 if heard else random.Random(asked.seed + tried).random() / 4)
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                tried += 1
        idle(server)
        require(server.metric("demur_http_requests_in_progress") == 1, "a request is still in progress")
        require(answers(server.url, bodies(1, 0))[0].status_code == 200, "completions fail")
    return f"{tried} ways to go, and every row is free"


def moments(server: Served) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a server may be doing when it is told to stop."""

    def stream() -> None:
        with httpx2.stream("POST", f"{server.url}/v1/completions", json=STREAM, timeout=60) as answer:
            for _ in answer.iter_lines():
                pass

    def several() -> None:
        for _ in range(40):
            threading.Thread(target=quietly, args=[stream], daemon=True).start()

    def half_a_body() -> None:
        parts = urlsplit(server.url)
        sock = socket.create_connection((parts.hostname, parts.port))
        sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        )
        sock.sendall(b"content-length: 1000\r\n\r\n{")
        KEPT_OPEN.append(sock)

    yield "idle", lambda: None
    yield "a stream", lambda: threading.Thread(target=quietly, args=[stream], daemon=True).start()
    yield "forty streams", several
    yield "half a body", half_a_body
    yield "a comparison", lambda: submit(server.url)
    yield "told twice", several


KEPT_OPEN: list[socket.socket] = []
"""Sockets of clients that wait for ever."""


def quietly(work: Callable[[], object]) -> None:
    """Do what may be cut off."""
    try:
        work()
    except (httpx2.HTTPError, OSError):
        return


def ends(process: subprocess.Popen[str], name: str) -> float:
    """Seconds until a process that was told to stop has ended."""
    began = time.monotonic()
    try:
        process.wait(DRAIN + AFTER_THE_DRAIN)
    except subprocess.TimeoutExpired:
        raise Unmet(f"{name}: it runs {DRAIN + AFTER_THE_DRAIN:g} s after it was told to stop") from None
    return time.monotonic() - began


def told_to_stop(_asked: argparse.Namespace) -> str:
    """SIGTERM at every point, and what a comparison had reported after the next start."""
    took = dict[str, float]()
    for place in range(6):
        with served("--drain-seconds", str(DRAIN)) as server:
            name, begin = list(moments(server))[place]
            begin()
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            if name == "told twice":
                time.sleep(0.2)
                server.process.send_signal(signal.SIGTERM)
            took[name] = ends(server.process, name)
    loading = subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert loading.stderr is not None
    for line in loading.stderr:
        if "listens on" in line:
            break
    loading.send_signal(signal.SIGTERM)
    took["loading"] = ends(loading, "loading")
    with TemporaryDirectory() as folder:
        kept = ("--comparisons", str(Path(folder) / "kept"), "--drain-seconds", str(DRAIN))
        with served(*kept) as server:
            id = submit(server.url)
            before = reported(server.url, id, 20)
            server.process.send_signal(signal.SIGTERM)
            took["a comparison that has reported"] = ends(server.process, "a comparison")
        with served(*kept) as server:
            after = reported(server.url, id, len(before))
            require(after[: len(before)] == before, "outcomes that were reported are gone")
    times = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items())
    return f"seconds to its end, drain {DRAIN:g}: {times}; {len(before)} outcomes are there again"
