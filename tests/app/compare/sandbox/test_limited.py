"""Commands with limits. No time is measured: what takes too long here would take forever."""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from app.compare.sandbox.limited import MAX_OUTPUT, CommandLimits, Finished, run_limited

LIMITS = CommandLimits(seconds=60, memory=1 << 30)


def python(code: str, *, limits: CommandLimits = LIMITS, given: bytes = b"") -> Finished:
    return run_limited([sys.executable, "-I", "-S", "-c", code], given, limits)


def test_it_reads_what_it_is_given_and_its_output_comes_back() -> None:
    finished = python("import sys; print(sys.stdin.read()[::-1])", given=b"abc")
    assert finished == Finished("cba\n", None)


def test_no_shell_reads_the_command() -> None:
    assert run_limited(["echo", "$HOME; ls `pwd`"], b"", LIMITS).output == "$HOME; ls `pwd`\n"


def test_it_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMUR_API_KEY", "secret")
    finished = python("import json, os; print(json.dumps([dict(os.environ), os.listdir('.')]))")
    assert finished.output is not None
    environment, files = json.loads(finished.output)
    assert "secret" not in json.dumps(environment)
    assert environment["HOME"] == environment.get("PWD", environment["HOME"])
    assert files == []


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import sys; sys.stderr.write('bad\\nluck'); sys.exit(3)", "exit status 3: luck"),
        ("import os; os.abort()", "ended by SIGABRT"),
        (f"print('x' * {MAX_OUTPUT + 1})", f"more than {MAX_OUTPUT} bytes"),
        ("while True: print('x' * 100000)", "ended"),
        ("x = bytearray(1 << 31)", "MemoryError"),
    ],
)
def test_what_goes_wrong_is_said(code: str, failure: str) -> None:
    finished = python(code)
    assert finished.output is None
    assert failure in (finished.failure or "")


def test_a_command_that_cannot_be_started_is_said() -> None:
    finished = run_limited(["/no/such/program"], b"", LIMITS)
    assert "cannot be started" in (finished.failure or "")


def test_one_that_never_ends_is_ended() -> None:
    finished = python("import time\nwhile True: time.sleep(1)", limits=CommandLimits(0.5, 1 << 30))
    assert finished.failure == "it took longer than 0.5 seconds"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found by /proc")
@pytest.mark.parametrize("ends", ["pass", "time.sleep(1000)"])
def test_whatever_it_began_ends_with_it(tmp_path: Path, ends: str) -> None:
    """A grandchild that left the group and whose parent is gone, whether the command itself ends or not."""
    pids = tmp_path / "pids"
    code = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open({str(pids)!r}, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
os.wait()
while not (os.path.exists({str(pids)!r}) and open({str(pids)!r}).read()):
    time.sleep(0.01)
{ends}
"""
    # On a busy machine the grandchild may not have begun when the time is over; then there is nothing to see.
    python(code, limits=CommandLimits(60 if ends == "pass" else 5, 1 << 30))
    with suppress(FileNotFoundError):
        pid = int(pids.read_text() or 0)
        if pid:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    finished = python("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 1)")
    assert finished.failure == f"it was ended by {signal.SIGRTMIN + 1}"
