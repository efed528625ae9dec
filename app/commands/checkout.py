"""Which code is running."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The commit of the checkout that this code lies in; None for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
