"""A peer at work in a process of its own: started, asked in turns with others, and stopped."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.peers.peers import Peer, PeerError

ROOT = Path(__file__).parents[2]
_TAIL = 3
"""Lines of what a worker said last that are kept of its failure."""


@dataclass(frozen=True)
class Timed:
    """Seconds on the clock and of the processor, and what was written."""

    clock: float
    cpu: float
    peak: float
    texts: list[list[int]]


class Worker:
    """Answers one question at a time.

    Attributes:
        start: seconds on the clock from the start of the process until the model could be asked.
        memory: what it then had in memory, in MB.
    """

    def __init__(
        self, peer: Peer, python: Path, model: Path, threads: int, rows: int, context: int, log: Path
    ) -> None:
        """Raises PeerError: it ended before it was ready."""
        self._peer, self._log = peer, log
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
        module = f"benchmarks.peers.workers.{peer.module}"
        command = [str(python), "-m", module, str(model), peer.precision, *map(str, (threads, rows, context))]
        began = time.perf_counter()
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        ready = self._next()
        self.start, self.memory = time.perf_counter() - began, float(ready["memory"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def write(self, prompts: list[list[int]], tokens: int) -> Timed:
        """Have all prompts completed by so many tokens.

        Raises:
            PeerError: the process ended; what it said last.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"prompts": prompts, "tokens": tokens}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the next line says why
        return Timed(**self._next())

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            lines = [each for each in self._log.read_text(errors="replace").splitlines() if each.strip()]
            raise PeerError(f"{self._peer.name} ended: {' | '.join(lines[-_TAIL:])}")
        return json.loads(line)
