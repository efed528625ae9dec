"""How long /health/live takes while large requests are answered, legal and hostile ones.

    python -m benchmarks.liveness [--checkpoint FOLDER] [--only REGEX] [--above MS]

A server process is started, and asked for its health all the time while each request runs. A line is one
request: its status and seconds, the size of its answer, and of the health answers during it the slowest, in
wall time and in processor time of the server (all its threads), less what an idle server takes. The last
column is the memory that the server took beyond what it had, at most.
"""

import argparse
import http.client
import re
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.large_requests import Case, cases
from benchmarks.served import served

IDLE_SECONDS = 2.0
PAGE = 4096


@dataclass(frozen=True)
class Health:
    """One answer of /health/live: seconds of wall time, and of processor time of the server."""

    wall: float
    processor: float


@dataclass
class Server:
    """A running `demur serve`."""

    pid: int
    host: str
    port: int

    def processor(self) -> float:
        """Seconds of processor time of all its threads, in nanoseconds' steps where the system has them."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total / 1e9

    def memory(self) -> int:
        """Bytes of memory that it has now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE


@contextmanager
def serving(checkpoint: str | None) -> Generator[Server]:
    """A server that is ready; see `benchmarks.served`."""
    with served(*(() if checkpoint is None else ("--checkpoint", checkpoint))) as started:
        yield Server(started.process.pid, "127.0.0.1", int(started.url.rsplit(":", 1)[1]))


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


def send(server: Server, case: Case, content: bytes | None) -> tuple[int, int]:
    """Status and size of the answer."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=600)
    method = "GET" if content is None else "POST"
    connection.request(method, case.path, content, {"content-type": "application/json"})
    response = connection.getresponse()
    received = response.read()
    connection.close()
    return response.status, len(received)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint")
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--above", type=float, default=0.0, help="only lines of so many ms or more")
    asked = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    worst = 0.0
    with serving(asked.checkpoint) as server, ThreadPoolExecutor(1) as sender:
        until = time.monotonic() + IDLE_SECONDS
        idle = sorted(each.processor for each in watch(server, lambda: time.monotonic() > until))
        usual = idle[len(idle) // 2]
        console.print(f"idle: {usual * 1e3:.1f} ms of processor time")
        console.print(f"{'request':44} status seconds    answer  wall ms  processor ms  memory")
        for case in cases():
            if not re.search(asked.only, case.name):
                continue
            content = None if case.body is None else case.body()
            before = most = server.memory()
            began = time.perf_counter()
            sent = sender.submit(send, server, case, content)
            answers: list[Health] = []
            while not sent.done():
                answers += watch(server, sent.done)
                most = max(most, server.memory())
            seconds = time.perf_counter() - began
            status, size = sent.result()
            wall = max((each.wall for each in answers), default=0.0) * 1e3
            late = max((each.processor - usual for each in answers), default=0.0) * 1e3
            worst = max(worst, late)
            if late >= asked.above:
                grown = (most - before) / 2**20
                what = f"{case.name[:44]:44} {status:6} {seconds:7.2f} {size:9}"
                console.print(f"{what} {wall:8.0f} {late:13.0f} {grown:6.0f}M")
    console.print(f"worst: {worst:.0f} ms of processor time later than idle")


if __name__ == "__main__":
    main()
