"""The native step under the compiler's sanitizers: no access outside its memory, nothing undefined, no race.

`DEMUR_INSTRUCTIONS` chooses the kernels; a processor without those named takes the next best.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from models.native.build import build_program

FUZZ = Path(__file__).with_name("fuzz.cpp")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # threads wait for each other at barriers, which takes long on a busy machine
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ and its sanitizers")
@pytest.mark.parametrize(("sanitizers", "networks"), [("address,undefined", 60), ("thread", 25)])
def test_random_networks_and_passes_are_clean(tmp_path: Path, sanitizers: str, networks: int) -> None:
    flags = ("-g", "-O1", "-Werror", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all")
    program = build_program(tmp_path / "fuzz", FUZZ, flags)
    for instructions in ("baseline", "avx2", "avxvnni", "avx512", "avx512vnni"):
        done = subprocess.run(
            [program, str(networks)],
            env=os.environ | {"DEMUR_INSTRUCTIONS": instructions},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{networks} networks")
