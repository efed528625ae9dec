"""reasoning-gym, asked over a pipe: it works in a process of its own, which ends when it takes too long."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.compare.sandbox.limited import clean_path
from app.errors import DemurError, UnfitError

_WORKER = Path(__file__).with_name("gym_worker.py")
_START_SECONDS = 120.0
"""For the first answer, which waits for imports of some seconds."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class GymError(DemurError):
    """reasoning-gym refuses something, or fails. setting: what is to blame, where one thing is."""

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


def require_gym() -> None:
    """Raise `UnfitError` if reasoning-gym is not installed."""
    if find_spec("reasoning_gym") is None:
        raise UnfitError(
            "problems.source is 'reasoning_gym', which is not installed here; pip install 'demur[problems]'.",
            param="problems.source",
        )


class Gym:
    """The process, begun when it is first asked and again after it was ended. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            GymError: it is refused, or takes longer than `seconds`; then the process is ended.
            UnfitError: reasoning-gym is not installed.
        """
        require_gym()
        with self._lock:
            process, limit = self._process, seconds
            if process is None or process.poll() is not None:
                process, limit = self._start(), seconds + _START_SECONDS
            try:
                answer = self._answer(process, request, limit)
            except BaseException:
                self._end()
                raise
        if "error" in answer:
            raise GymError(str(answer["error"]), answer["setting"])
        return answer

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "PATH": clean_path(),
                "PYTHONHASHSEED": "0",
                "LANG": "C.UTF-8",
                **dict.fromkeys(_THREADS, "1"),
            },
            start_new_session=True,
        )
        return self._process

    def _end(self) -> None:
        process, self._process, self._rest = self._process, None, b""
        if process is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _answer(
        self, process: subprocess.Popen[bytes], request: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        until = time.monotonic() + seconds
        with contextlib.suppress(BrokenPipeError):  # it has ended, as reading will show
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                left = until - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise GymError(f"reasoning-gym took longer than {seconds:.0f} seconds")
                piece = os.read(process.stdout.fileno(), 1 << 20)
                if not piece:
                    raise GymError("reasoning-gym ended unexpectedly, as it does without memory")
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)
