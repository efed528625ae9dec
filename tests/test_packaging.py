"""The lock fits pyproject.toml and any machine; the README names what exists."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent
PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9A-Za-z.!+]+)")


def pins(lock: str) -> dict[str, str]:
    """Return name and version of every line of a lock that is not a comment."""
    lines = (line.partition("#")[0].strip() for line in (REPOSITORY / lock).read_text().splitlines())
    matches = [(line, PIN.fullmatch(line)) for line in lines if line]
    assert not [line for line, match in matches if match is None], "a lock holds pins and nothing else"
    return {canonicalize_name(match[1]): match[2] for _, match in matches if match is not None}


def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", []), ("requirements-dev.lock", ["dev"])], ids=str
)
def test_the_lock_satisfies_every_requirement(lock: str, extras: list[str]) -> None:
    locked = pins(lock)
    optional = project()["optional-dependencies"]
    for text in [*project()["dependencies"], *(line for extra in extras for line in optional[extra])]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), text


def test_the_tools_are_locked_beside_the_very_versions_of_the_service() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_admits_every_build_of_torch_and_names_no_cuda_library(lock: str) -> None:
    locked = pins(lock)
    assert re.fullmatch(r"[0-9.]+", locked["torch"]), "a build tag would admit that build alone"
    assert not [name for name in locked if re.match(r"nvidia-|cuda-|triton", name)]


def test_all_but_torch_is_locked_by_its_hashes_too() -> None:
    text = (REPOSITORY / "requirements-hashed.lock").read_text()
    blocks = re.findall(
        r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    assert len(blocks) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), "every line has hashes"
    hashed = {canonicalize_name(name): version for name, version, _ in blocks}
    locked = pins("requirements.lock")
    assert hashed == {name: version for name, version in locked.items() if name != "torch"}


def test_the_readme_names_what_exists() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    table = re.findall(r"^\| `([\w/]+/)` \|", readme, re.MULTILINE)
    assert table
    assert [path for path in table if not (REPOSITORY / path).is_dir()] == []

    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= set(targets)
