"""Do the clients that people have work with this server as they are?

    python benchmarks/clients.py [--checkpoint FOLDER] [--environment FOLDER]

Makes an environment with pinned versions of openai, litellm, langchain-openai and llama-index, once,
starts `demur serve`, and calls it with each of them in their usual ways. A line is one case: OK with the
beginning of the text, refused with the server's reason, or FAILED with what broke. The last line counts them.
"""

import argparse
import subprocess
import venv
from pathlib import Path

from rich.console import Console

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import served

PINNED = (
    "openai==2.54.0",
    "litellm==1.110.2",
    "langchain-openai==1.7.4",
    "llama-index-llms-openai-like==0.8.1",
)
HOUSE = Path(__file__).resolve().parent.parent
CASES = Path(__file__).with_name("client_cases.py")


def python_of(folder: Path) -> Path:
    """The environment's Python; the environment is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--environment", type=Path, default=HOUSE / "runs" / "clients")
    asked = parser.parse_args()
    console = Console(highlight=False)
    with console.status("making the environment"):
        python = python_of(asked.environment)
    with served("--checkpoint", str(asked.checkpoint), "--max-rows", "32") as server:
        finished = subprocess.run([python, CASES, f"{server.url}/v1"], check=False)
    raise SystemExit(finished.returncode)


if __name__ == "__main__":
    main()
