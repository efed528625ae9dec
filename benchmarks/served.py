"""A `demur serve` of its own for a measurement: a process on a free port of the loopback."""

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

import httpx2

PAGE = 4096


@dataclass(frozen=True)
class Served:
    """A server that is ready, and where its comparisons lie."""

    url: str
    process: subprocess.Popen[str]
    comparisons: Path

    def standing(self) -> Mapping[str, int]:
        """Memory in bytes, open files and threads of the process."""
        proc = Path(f"/proc/{self.process.pid}")
        return {
            "memory": int((proc / "statm").read_text().split()[1]) * PAGE,
            "files": len(list((proc / "fd").iterdir())),
            "threads": len(list((proc / "task").iterdir())),
        }

    def metric(self, name: str) -> float:
        """A metric's value, by its name with the labels that it has."""
        lines = httpx2.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).rsplit(" ", 1)[1])


@contextmanager
def served(*flags: str, program: str = "from app.cli import main; main()") -> Generator[Served]:
    """Start a server with these flags, wait until it is ready, and stop it at the end.

    program: in place of the command, for what is changed in it.

    Raises:
        RuntimeError: it ended instead; its log is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="demur-served-") as folder:
        comparisons = Path(folder) / "comparisons"
        command = [sys.executable, "-c", program, "serve", "--port", "0", "--log-format", "json"]
        command += ["--comparisons", str(comparisons), *flags]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(environ))
        assert process.stderr is not None
        url, lines = "", list[str]()
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"demur listens on (\S+)", line):
                url = found[1]
            if line.startswith("{") and str(json.loads(line)["event"]).startswith("serving "):
                break
        else:
            raise RuntimeError(f"the server ended with status {process.wait()}:\n{''.join(lines)}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield Served(url, process, comparisons)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def finished_comparison(http: httpx2.Client, problems: int = 3) -> str:
    """The id of a small comparison that is over."""
    arms: list[dict[str, Any]] = [
        {"name": "greedy", "strategy": {"kind": "greedy"}},
        {"name": "warm", "strategy": {"kind": "sample"}, "temperature": 0.7},
    ]
    drawn = {"source": "corpus", "split": "train", "ops": [1, 3], "count": problems}
    spec = {"arms": arms, "problems": drawn, "max_tokens": 24, "latency_problems": 1}
    id = http.post("/v1/compare", json=spec).raise_for_status().json()["id"]
    with http.stream("GET", f"/v1/compare/{id}/events", timeout=300) as events:
        for line in events.iter_lines():
            if line == "data: [DONE]":
                return id
    raise RuntimeError(f"the comparison {id} did not come to its end")
