"""What the native step does at a process's edges: when it ends, when threads lack, and how it is compiled."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.native import build
from tests.models.native.compiled import needs_native

_NETWORK = """
import os, resource, sys, threading
import torch
from models.gpt2 import GPT2, GPT2Config
from models.native.native_decoder import NativeDecoder
torch.set_num_threads(2)
network = GPT2(GPT2Config(512, 256, 192, 4, 4))
"""
_AT_WORK = """
model = NativeDecoder(network, "it", None)
begun = threading.Event()
def work():
    while True:
        model.score(list(range(256)))
        begun.set()
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""
_FORKED = """
model = NativeDecoder(network, "it", None)
model.score([1, 2])
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
_NO_MORE_THREADS = """
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
torch.get_num_threads = lambda: 500
resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20), resource.RLIM_INFINITY))
try:
    NativeDecoder(network, "it", None)  # with fewer threads, or told of the memory that these leave none of
except MemoryError:
    pass
"""

_ENDED_IN_TORCH = b"terminate called without an active exception\n"
"""What CPython 3.11 does to a daemon thread coming back from an operation of torch while the process ends:
a hundredth of this thread's time. One that comes back from the native step ends well."""
_MORE_TRIES = 3


def ended(program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", _NETWORK + program], capture_output=True, timeout=250)


@needs_native
@pytest.mark.skipif(sys.platform != "linux", reason="/proc, and a fork beside threads")
@pytest.mark.parametrize("program", [_AT_WORK, _FORKED, _NO_MORE_THREADS], ids=["pass", "fork", "threads"])
def test_a_process_ends_well(program: str) -> None:
    done = ended(program)
    for _ in range(_MORE_TRIES):
        if done.stderr == _ENDED_IN_TORCH:
            done = ended(program)
    assert (done.returncode, done.stderr) == (0, b"")


def test_only_sources_decide_the_name_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in build.SOURCES.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    before = build.library_path()
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    (tmp_path / ".checkpoints").mkdir()
    (tmp_path / ".network.cpp.swp").touch()
    assert build.library_path() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [("'/no such/compiler' -m64", "/no such/compiler cannot be run"), ("'g++", "is no command: No closing")],
)
def test_a_compiler_may_have_spaces_in_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.setenv("CXX", given)
    with pytest.raises(build.BuildError, match=message):
        build.build(tmp_path / "library.so")
