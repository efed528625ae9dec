"""A command with limits of time, memory and output, in an empty folder and a bare environment."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_GRACE_SECONDS = 30.0
"""How long beyond its limit a command may take on a machine that has no time for us."""

MAX_OUTPUT = 65_536
_MAX_FILE = 64 * 1024 * 1024
_SHOWN = 200


@dataclass(frozen=True)
class CommandLimits:
    """seconds: of the clock. memory: bytes of address space, of each process."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Finished:
    """What a command wrote, or why that does not count: one of the two."""

    output: str | None
    failure: str | None


def run_limited(command: Sequence[str], given: bytes, limits: CommandLimits) -> Finished:
    """Run a command with something on its standard input.

    No shell reads it. It runs in an empty folder that goes away with it; of our environment it has PATH. When
    it ends or its time is over, every process that it began is killed (on systems without /proc those of its
    own group). This keeps accidents small; it is no prison: the command may read and write what the user may,
    and use the network.
    """
    with tempfile.TemporaryDirectory(prefix="demur-") as folder:
        root, work = Path(folder), Path(folder) / "work"
        work.mkdir()
        (root / "in").write_bytes(given)
        asked = {
            "seconds": limits.seconds,
            "memory": limits.memory,
            "file": _MAX_FILE,
            "outcome": str(root / "outcome"),
        }
        with (
            (root / "in").open("rb") as stdin,
            (root / "out").open("wb") as stdout,
            (root / "err").open("wb") as stderr,
        ):
            supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(asked), *command],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=work,
                env=_environment(work),
                start_new_session=True,
            )
            try:
                supervisor.wait(limits.seconds + _GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                return Finished(None, f"it could not be ended within {_GRACE_SECONDS:g} seconds")
            finally:
                with contextlib.suppress(OSError):
                    os.killpg(supervisor.pid, signal.SIGKILL)
                supervisor.wait()
        return _read(root, limits)


def clean_path() -> str:
    """Where programs are looked for."""
    return os.environ.get("PATH", os.defpath)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": clean_path(), "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def _read(root: Path, limits: CommandLimits) -> Finished:
    try:
        how, _, more = (root / "outcome").read_text(encoding="utf-8").partition(" ")
    except OSError:
        return Finished(None, f"its supervisor failed{_said(root)}")
    if how == "time":
        return Finished(None, f"it took longer than {limits.seconds:g} seconds")
    if how == "start":
        return Finished(None, f"it cannot be started: {more}")
    if how == "signal":
        return Finished(None, f"it was ended by {more}{_said(root)}")
    if more != "0":
        return Finished(None, f"it ended with exit status {more}{_said(root)}")
    with (root / "out").open("rb") as written:
        output = written.read(MAX_OUTPUT + 1)
    if len(output) > MAX_OUTPUT:
        return Finished(None, f"it wrote more than {MAX_OUTPUT} bytes")
    return Finished(output.decode(errors="replace"), None)


def _said(root: Path) -> str:
    """The end of what it wrote to standard error, as the rest of a sentence."""
    with (root / "err").open("rb") as written:
        written.seek(max(0, (root / "err").stat().st_size - 4 * _SHOWN))
        lines = written.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:_SHOWN]}" if lines else ""
