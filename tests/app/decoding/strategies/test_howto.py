"""docs/strategies-howto.md, as it stands there: the strategy, and its tests."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

DOCUMENT = Path(__file__).parents[4] / "docs" / "strategies-howto.md"
LONGEST = 30


def blocks() -> tuple[str, str]:
    strategy, test = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    return strategy, test


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    strategy, test = blocks()
    (tmp_path / "second_thought.py").write_text(strategy)
    (tmp_path / "test_second_thought.py").write_text(test)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("second_thought", "test_second_thought"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_the_example_is_short_and_its_tests_pass(folder: Path) -> None:
    lines = (folder / "second_thought.py").read_text().splitlines()
    assert len(lines) <= LONGEST
    assert all(len(line) <= 110 for line in lines)
    assert pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]) == 0


def test_its_parameters_are_as_strict_as_all_others(folder: Path) -> None:
    namespace: dict[str, Any] = {}
    source = (folder / "second_thought.py").read_text()
    exec(compile(source, "second_thought.py", "exec"), namespace)
    adapter = TypeAdapter[Any](namespace["SecondThought"])
    with pytest.raises(ValidationError, match="no_such_key"):
        adapter.validate_python({"no_such_key": 1})
    with pytest.raises(ValidationError):
        adapter.validate_python({"threshold": -1})
