"""Runs a command with limits and ends every process that it began. A script of its own, run by its path.

    python -I -S supervisor.py '{"seconds": 10, "memory": BYTES, "file": BYTES, "outcome": PATH}' COMMAND...

It writes how the command ended to the file PATH: `exit N`, `signal N`, `time`, or `start REASON`.

A process of its own, as limits are set between fork and exec, which is not safe in a process with threads;
and as on Linux all that the command leaves behind becomes its child, so that it can end it.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_ENDING = 5.0


def main() -> None:
    limits = json.loads(sys.argv[1])
    adopt_orphans()
    outcome = run(sys.argv[2:], limits)
    end_descendants()
    Path(limits["outcome"]).write_text(outcome, encoding="utf-8")


def run(command: list[str], limits: dict[str, int | float]) -> str:
    """How the command ended."""

    def restrict() -> None:
        for kind, most in (
            (resource.RLIMIT_AS, int(limits["memory"])),
            (resource.RLIMIT_FSIZE, int(limits["file"])),
            (resource.RLIMIT_CPU, int(limits["seconds"]) + 1),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # macOS does not know all of them
                resource.setrlimit(kind, (most, most))

    try:
        started = subprocess.Popen(command, preexec_fn=restrict)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"start {error}"
    try:
        status = started.wait(limits["seconds"])
    except subprocess.TimeoutExpired:
        return "time"
    return f"exit {status}" if status >= 0 else f"signal {signal_name(-status)}"


def signal_name(number: int) -> str:
    """The name of a signal; most of those for real time have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def adopt_orphans() -> None:
    """Have what a descendant leaves behind become a child of this process, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kill all children, and those that they leave behind, until there are none."""
    give_up = time.monotonic() + _LONGEST_ENDING
    while time.monotonic() < give_up:
        for child in children():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            time.sleep(0.005)


def children() -> list[int]:
    """Processes whose parent is this one, where the system has /proc."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything; after it come the state and the parent.
            after_name = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(after_name[1]) == os.getpid():
                found.append(int(entry.parent.name))
    return found


if __name__ == "__main__":
    main()
