"""Which code is running, and since when it reads as it does."""

import ast
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def commit() -> str | None:
    """The commit of the checkout that this code lies in; None for an installed package."""
    said = _git(Path(__file__).parent, "rev-parse", "HEAD")
    return said.strip() if said else None


def last_change(file: Path, name: str) -> tuple[str, str] | None:
    """The last commit that changed how a name is assigned in a file, and its date in UTC.

    None where there is no history, or the lines are not committed as they stand.
    """
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            lines = f"{node.lineno},{node.end_lineno}"
            said = _git(file.parent, "blame", "--line-porcelain", "-L", lines, "--", file.name)
            return _latest(said) if said else None
    return None


def _latest(blame: str) -> tuple[str, str] | None:
    """Of the commits in what `git blame --line-porcelain` says, the one that was committed last."""
    commits = re.findall(r"^([0-9a-f]{40}) \d+ \d+", blame, re.MULTILINE)
    times = re.findall(r"^committer-time (\d+)", blame, re.MULTILINE)
    if not all(int(commit, 16) for commit in commits):
        return None  # zeros stand for what is not committed
    time, found = max((int(time), commit) for time, commit in zip(times, commits, strict=True))
    return found, datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it fails, as it does outside of a checkout."""
    try:
        git = ["git", "-C", str(folder), *arguments]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
