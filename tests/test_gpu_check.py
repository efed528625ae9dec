"""`make gpu-check`, rehearsed without a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_check_of_a_gpu_passes_its_rehearsal_on_a_cpu() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--device", "cpu", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 sampled texts are the same twice; the first one alone is the same" in done.stdout
    assert done.stdout.count("by generate") == 2
    assert "all is well" in done.stdout
