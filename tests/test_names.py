"""One meaning per name: no file and no type has that of another in its layer, but as the glossary says."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    "models",
    "probes",
    "app.decoding",
    "app.measure",
    "app.engine",
    "app.compare",
    "app.findings",
    "app.api",
    "app.commands",
)


def test_no_name_has_two_meanings_in_a_layer() -> None:
    found = {
        (layer, name): sorted(where)
        for layer in LAYERS
        for name, where in _meanings(ROOT / layer.replace(".", "/")).items()
        if len(set(where.values())) > 1
    }
    known = _allowed()
    new = {name: where for name, where in found.items() if name not in known}
    assert not new, f"give one of each a name of its own: {new}"
    assert not known - set(found), f"no longer twice; out of the table with it: {known - set(found)}"


def test_the_glossary_says_each_word_once() -> None:
    words = [word.strip() for cells in _tables() if len(cells) == 2 for word in cells[0].split(",")]
    assert len(words) > 40
    assert len(words) == len(set(words))


def _meanings(layer: Path) -> dict[str, dict[str, str]]:
    """By name, where it is defined and as what. An alias that reads the same in two files means one thing."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in layer.rglob("*.py"):
        where = path.relative_to(ROOT).as_posix()
        if path.name != "__init__.py":
            found[path.name][where] = where
        for name, meaning in _types(ast.parse(path.read_text())):
            found[name][where] = meaning or where
    return found


def _types(module: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Public classes, and aliases with what they stand for."""
    for node in module.body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield name, None
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if (
                name[0].isupper() and not name.isupper()
            ):
                yield name, ast.dump(value)
            case _:
                pass


def _allowed() -> set[tuple[str, str]]:
    return {(layer, name) for layer, name, *_ in (cells for cells in _tables() if len(cells) == 3)}


def _tables() -> list[list[str]]:
    """Rows of the glossary's tables, without their heads."""
    lines = (ROOT / "docs/glossary.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [cells for cells in rows if cells[0] not in ("word", "layer") and set(cells[0]) != {"-"}]
