"""Which problems `demur compare` asks, how it writes prompts and when answers are right: from flags."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import yaml

from app.commands.options import from_shell
from app.errors import ParameterError

GYM = "reasoning_gym:"

_GYM_SET = re.compile(r"reasoning_gym:(?P<name>\w+)(?:\?(?P<settings>.*))?", re.DOTALL)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}


def gym_of_flag(given: str) -> dict[str, Any]:
    """Problems of reasoning-gym, from `reasoning_gym:NAME` or `reasoning_gym:NAME?SETTING=VALUE&...`, where
    values are YAML.

    Raises:
        ParameterError: it is neither.
    """
    match = _GYM_SET.fullmatch(given.strip())
    settings: dict[str, Any] = {}
    for each in (match["settings"] or "").split("&") if match else ():
        name, separator, value = each.partition("=")
        if each and not separator:
            match = None
            break
        if each:
            try:
                settings[name.strip()] = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise ParameterError(
                    f"--problems is {given!r}, but {value!r} is not YAML: {error}", param="problems"
                ) from error
    if match is None:
        raise ParameterError(
            f"--problems is {given!r}; write reasoning_gym:NAME, or with settings, such as "
            "'reasoning_gym:chain_sum?min_terms=2&max_terms=3'. `demur problems list` has the names.",
            param="problems",
        )
    return {"source": "reasoning_gym", "name": match["name"], "settings": settings}


def template_of_flags(
    chat: bool, system: str | None, question: str | None, example_answer: str | None
) -> dict[str, Any] | None:
    """How prompts are written, None if no flag says.

    Raises:
        ParameterError: there is a system message without a chat.
    """
    if system is not None and not chat:
        raise ParameterError("--system is a message of a chat; give --chat too.", param="system")
    given = {
        "system": None if system is None else from_shell(system),
        "question": None if question is None else unescaped(question),
        "answer": None if example_answer is None else unescaped(example_answer),
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if not (chat or fields):
        return None
    return {"form": "chat" if chat else "text", **fields}


def scoring_of_flags(
    scoring: str | None, tolerance: float | None, choices: str | None, judge: str | None
) -> dict[str, Any] | None:
    """When an answer is right, None if no flag says.

    Raises:
        ParameterError: the flags do not go together.
    """
    kinds = {
        "--scoring": scoring,
        "--tolerance": None if tolerance is None else "number",
        "--choices": None if choices is None else "choice",
        "--judge": None if judge is None else "command",
    }
    given = {flag: kind for flag, kind in kinds.items() if kind is not None}
    if len(set(given.values())) > 1:
        said = " and ".join(f"{flag} (scoring by {kind})" for flag, kind in given.items())
        raise ParameterError(f"{said} do not go together; give one.", param="scoring")
    if not given:
        return None
    fields: dict[str, Any] = {"kind": next(iter(given.values()))}
    if tolerance is not None:
        fields["tolerance"] = tolerance
    if choices is not None:
        fields["choices"] = [each.strip() for each in choices.split(",")]
    if judge is not None:
        try:
            fields["command"] = _findable(shlex.split(judge))
        except ValueError as error:
            raise ParameterError(f"--judge is {judge!r}: {error}.", param="judge") from error
    return fields


def _findable(command: Sequence[str]) -> list[str]:
    """A command whose files are found from another folder, too; the program itself may be one of PATH."""
    return [
        os.path.abspath(each) if os.path.isfile(each) and (place or os.sep in each) else each
        for place, each in enumerate(command)
    ]


def unescaped(given: str) -> str:
    """A text of the command line in which `\\n` and `\\t` stand for what they do in Python."""
    return re.sub(r"\\[nt\\]", lambda found: _ESCAPES[found[0]], from_shell(given))


def stops_of_flag(given: Sequence[str] | None) -> list[str] | None:
    """Texts that end a completion, None if none are given."""
    return [unescaped(each) for each in given] if given else None


def with_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a file as an item: what is no part of one becomes a field for templates, as text."""
    known = {name: value for name, value in item.items() if name in ("id", "prompt", "answer", "fields")}
    rest = {name: as_text(value) for name, value in item.items() if name not in known}
    if "prompt" not in known and "question" in rest:
        known["prompt"] = rest["question"]
    for name in ("id", "answer"):
        if isinstance(known.get(name), int | float | list) and not isinstance(known[name], bool):
            known[name] = as_text(known[name])
    fields = known.get("fields")
    if rest and (fields is None or isinstance(fields, dict)):  # what is neither is refused with the item
        known["fields"] = {**rest, **(fields or {})}
    return known


def near_misses(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to tell of items without an answer that have a field of nearly that name."""
    counts = Counter(
        name
        for item in items
        if item.get("answer") is None and isinstance(item.get("fields"), dict)
        for name in item["fields"]
        if get_close_matches(name.lower(), ("answer",), cutoff=0.8)
    )
    return [
        f"--problems: lines without an answer, {count} of them, have {name!r}, which is taken for a field of "
        "templates; if it is the answer, call it 'answer'."
        for name, count in counts.items()
    ]


def as_text(value: object) -> str:
    """A value of a file as templates write it."""
    if isinstance(value, list):
        return ", ".join(as_text(each) for each in value)
    return "" if value is None else str(value)
