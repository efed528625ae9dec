"""How modules may depend on each other."""

import ast
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_modules_import_each_other_in_a_circle_not_even_for_their_types() -> None:
    files = [path for room in ("app", "models", "probes") for path in (ROOT / room).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    TopologicalSorter({name: imported_by(path, modules) - {name} for name, path in modules.items()}).prepare()


def imported_by(path: Path, modules: Mapping[str, Path]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            names |= inner or {str(node.module)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & modules.keys()
