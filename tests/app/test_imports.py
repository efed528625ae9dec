"""What a server imports before it is ready: nothing that takes long and that most servers never use."""

import json
import subprocess
import sys
from pathlib import Path

from app.settings import EMBEDDED_CHECKPOINT

HEAVY = (
    "limits",
    "matplotlib",
    "pandas",
    "reasoning_gym",
    "scipy",
    "sklearn",
    "statsmodels",
    "sympy",
    "torch._dynamo",
    "transformers",
)

OPENED = """
import json, sys
from app.main import create_app
from app.settings import load_settings
app = create_app(load_settings({"checkpoint": sys.argv[1]}))
app.state.service.house.keep_default()
print(json.dumps(sorted(sys.modules)))
app.state.service.stop()
"""


def test_a_server_that_is_ready_has_imported_nothing_that_it_needs_later_or_never() -> None:
    ready = of_a_server_that_is_ready(EMBEDDED_CHECKPOINT)
    assert not set(HEAVY) & set(ready)


def of_a_server_that_is_ready(checkpoint: Path) -> list[str]:
    """Modules of a process that has just opened its model and the model's probes."""
    command = [sys.executable, "-c", OPENED, str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
