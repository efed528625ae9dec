"""docs/problems.md says what is so: its commands have the flags that there are, its specs are specs."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter
from typer.main import get_command

from app.cli import app
from app.compare.answers import Reading
from app.compare.problem_sets.scoring import Scoring
from app.compare.spec import parse_spec

PAGE = (Path(__file__).parents[4] / "docs" / "problems.md").read_text(encoding="utf-8")
COMMANDS = [
    line.replace("\\\n", "")
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", "").splitlines()
    if line.startswith("demur ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_can_be_given(line: str) -> None:
    command: Any = get_command(app)
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("demur", words, resilient_parsing=False)


def test_every_spec_is_one() -> None:
    [problems] = (yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    parse_spec({"arms": [{"name": "a", "strategy": {"kind": "greedy"}}], **problems})


@pytest.mark.parametrize(("tag", "kind"), [("rule", Reading), ("kind", Scoring)])
def test_every_rule_in_a_table_is_one(tag: str, kind: Any) -> None:
    found = re.findall(rf"^\|[^|]*\| `(\{{{tag}: [^`]*\}})` \|", PAGE, re.MULTILINE)
    assert len(found) >= 4
    for each in found:
        plain = yaml.safe_load(each.replace("[...]", "[judge]"))
        TypeAdapter(kind).validate_python(plain)
