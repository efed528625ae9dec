"""The problem sets of `demur compare`: one, or several that are reported each and all together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.commands.compare_spec import items_of_flags
from app.commands.problem_flags import GYM, gym_of_flag

_NOT_OF = {"given": {"ops"}, "reasoning_gym": {"ops", "scoring"}}
"""Fields of other sources, which say nothing of a set beside them."""


def sets_of_flags(given: Sequence[str], prompts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The problem sets by name: of files, of generators, and of prompts, which are of the first file.

    Raises:
        ParameterError: a file cannot be read, or one is no such set.
    """
    sets: dict[str, dict[str, Any]] = {}
    for each in given:
        found: dict[str, Any]
        if each.startswith(GYM):
            found = gym_of_flag(each)
            name = str(found["name"])
        else:
            found = {"source": "given", "items": items_of_flags(Path(each), ())}
            name = "".join(
                letter if letter.isascii() and letter.isalnum() else "_" for letter in Path(each).stem
            )
        name = name[:60]
        same = sum(other == name or other.startswith(f"{name}-") for other in sets)
        sets[f"{name}-{same + 1}" if same else name] = found
    if prompts:
        files = [each for each in sets.values() if each["source"] == "given"]
        if files:
            files[0]["items"] += items_of_flags(None, prompts) or []
        else:
            sets["prompts"] = {"source": "given", "items": items_of_flags(None, prompts)}
    return sets


def items_of(sets: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """All problems that are given; None if there are none."""
    found = [item for each in sets.values() for item in each.get("items", ())]
    return found if any("items" in each for each in sets.values()) else None


def problems_of_sets(sets: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the spec: those of one set apart, so that they win over what a file says, and several whole.

    fields: of every set that has them; None for what was not given.
    """
    if len(sets) < 2:
        only = next(iter(sets.values()), {})
        return {f"problems.{name}": value for name, value in {**fields, **only}.items()}
    said = {name: value for name, value in fields.items() if value is not None}
    whole = [
        {
            "name": name,
            "problems": {
                **{field: value for field, value in said.items() if field not in _NOT_OF[each["source"]]},
                **each,
            },
        }
        for name, each in sets.items()
    ]
    return {"problems": {"source": "several", "sets": whole}}
