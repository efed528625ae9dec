"""docs/samplers-howto.md, as it stands there, in a copy of the samplers: one file, one line, its tests."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.decoding
import tests.app.decoding

ROOT = Path(__file__).parents[4]
SAMPLING, TESTS = Path("app/decoding/sampling"), Path("tests/app/decoding/sampling")
LONGEST = 30


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the samplers and their tests, which is what is imported under their names."""
    for package, part in ((app.decoding, SAMPLING), (tests.app.decoding, TESTS)):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        for parent in [*part.parents][:-1]:
            (tmp_path / parent / "__init__.py").touch()
        monkeypatch.setattr(package, "__path__", [str(tmp_path / part.parent)])
        monkeypatch.setattr(package, "sampling", None, raising=False)
    originals = {name: sys.modules.pop(name) for name in imported()}
    yield tmp_path
    for name in imported():
        del sys.modules[name]
    sys.modules.update(originals)


def imported() -> list[str]:
    """The modules of the samplers and their tests."""
    rooms = [".".join(part.parts) for part in (SAMPLING, TESTS)]
    return [name for name in sys.modules if any(f"{name}.".startswith(f"{room}.") for room in rooms)]


def insert(path: Path, before: str, text: str) -> None:
    content = path.read_text()
    assert content.count(before) == 1
    path.write_text(content.replace(before, text + before))


def test_the_example_is_short_and_works_after_one_line(copy: Path) -> None:
    text = (ROOT / "docs" / "samplers-howto.md").read_text()
    sampler, listed, example, test = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(sampler.splitlines()) <= LONGEST
    assert all(len(line) <= 110 for line in sampler.splitlines())
    (copy / SAMPLING / "explore.py").write_text(sampler)
    import_line, base = listed.splitlines(keepends=True)
    insert(copy / SAMPLING / "samplers.py", "from app.decoding.sampling.feedback import", import_line)
    insert(copy / SAMPLING / "samplers.py", "    Mirostat,\n", base)
    insert(copy / TESTS / "examples.py", '    "mirostat": [', example)
    (copy / TESTS / "test_explore.py").write_text(test)
    suites = ("explore", "params", "properties", "extremes", "waiting")
    files = [str(copy / TESTS / f"test_{name}.py") for name in suites]
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(copy)]
    assert pytest.main([*options, *files, "-k", "explore or every_sampler or every_stage"]) == 0
