"""One environment, however the tests are started."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

TESTS = Path(__file__).parent
STARTS_A_PROCESS = ("run", "Popen", "call", "check_call", "check_output")
IN_A_CONTAINER = ("test_container.py",)


def test_a_test_and_what_it_starts_compute_on_one_thread() -> None:
    assert torch.get_num_threads() == 1
    program = "import torch; print(torch.get_num_threads())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(ran.stdout) == 1


def environments(source: str) -> Iterator[str]:
    """The environments that calls of `subprocess` give in place of the inherited one, as source."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="subprocess"), attr=name), keywords=keywords):
                if name in STARTS_A_PROCESS:
                    yield from (ast.unparse(each.value) for each in keywords if each.arg == "env")
            case _:
                pass


def test_no_test_starts_a_process_with_more() -> None:
    given = {
        f"{path.relative_to(TESTS)}: {environment}"
        for path in TESTS.rglob("*.py")
        if path.name not in IN_A_CONTAINER
        for environment in environments(path.read_text(encoding="utf-8"))
    }
    assert len(given) >= 3, "the search finds those that there are"
    assert not [each for each in given if "os.environ" not in each and "ONE_THREAD" not in each]


def test_ci_runs_what_make_runs() -> None:
    script = (TESTS.parent / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().endswith("\nmake check")
    assert not [line for line in script.splitlines() if line.startswith("export")]
    assert os.environ["OMP_NUM_THREADS"] == "1"
