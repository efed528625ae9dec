"""Speaks for reasoning-gym in a process of its own. A script, run by its path: JSON lines in and out.

    {"do": "list"}                                             -> {"sets": [...]}
    {"do": "generate", "set": SET, "start": 0, "stop": 64}     -> {"problems": [[index, question, answer]]}
    {"do": "load", "set": SET, "index": 5, "question": "..."}  -> {}
    {"do": "score", "set": SET, "index": 5, "answer": "..."}   -> {"score": 0.5}

SET is {"name", "settings", "seed"}. What goes wrong is {"error", "setting"}: the setting to blame, or null.

A process of its own because generators and scorers may never end or take all memory, and because with
PYTHONHASHSEED fixed the same problem is generated again.
"""

import contextlib
import dataclasses
import json
import os
import re
import resource
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_MEMORY = 6 * 1024**3
_SIZE = 20_000  # of a data set: word_ladder takes no larger one
_NOT_SETTINGS = ("seed", "size")
_KEPT = 512

LEFT_OUT = {
    "acre": "its problems depend on how many are drawn",
    "codeio": "the same seed does not give the same problems",
    "composite": "it is made of others",
    "game_of_life_halting": "its scorer takes any text for the right answer where something halts",
    "knight_swap": "the same seed does not give the same problems",
}
"""Generators that are not offered, and why."""

_FUNCTIONS = frozenset(
    ("sqrt", "exp", "log", "ln", "sin", "cos", "tan", "asin", "acos", "atan", "pi", "Integral")
)


class RefusedError(Exception):
    """What was asked for cannot be had. setting: the one to blame, if one is."""

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


def is_list(answer: str) -> bool:
    """Whether a text can be evaluated as a list without calling anything."""
    return not re.search(r"[(){}@`\\]|lambda|\*\*|<<", answer)


def is_expression(answer: str) -> bool:
    """Whether a text can be evaluated as a formula: no names but those of variables and known functions, no
    attributes, no texts, no lists."""
    if not re.fullmatch(r"[\w\s+\-*/^().,!=|<>]*", answer, re.ASCII) or "_" in answer:
        return False
    if re.search(r"\.\s*[A-Za-z]", answer):
        return False
    return all(len(name) == 1 or name in _FUNCTIONS for name in re.findall(r"[A-Za-z]\w*", answer))


EVALUATED: Mapping[str, Callable[[str], bool]] = {
    **dict.fromkeys(("string_insertion", "spiral_matrix", "binary_matrix", "n_queens"), is_list),
    **dict.fromkeys(
        (
            "simple_integration",
            "intermediate_integration",
            "polynomial_multiplication",
            "puzzle24",
            "countdown",
        ),
        is_expression,
    ),
}
"""Scorers that evaluate the answer as Python, and what they may be given: a model writes it."""


def catalogue() -> list[dict[str, Any]]:
    """Every generator that is offered."""
    return [
        {
            "name": name,
            "category": kind.__module__.split(".")[1],
            "about": _about(kind),
            "settings": [
                {"name": field.name, "default": default}
                for field in settable(config)
                if (default := _plain(_default(field))) is not None
            ],
        }
        for name, (kind, config) in sorted(_datasets().items())
        if name not in LEFT_OUT
    ]


def settable(config: type) -> list[Any]:
    """Fields of a generator's settings."""
    return [field for field in dataclasses.fields(config) if field.name not in _NOT_SETTINGS]


@lru_cache(maxsize=8)
def data_set(asked: str) -> Any:
    """The data set; asked: as JSON.

    Raises:
        RefusedError: there is none, or a setting is wrong.
    """
    given = json.loads(asked)
    name, settings = given["name"], given["settings"]
    if name in LEFT_OUT:
        raise RefusedError(f"{name!r} is not offered: {LEFT_OUT[name]}", "name")
    if name not in _datasets():
        raise RefusedError(f"there is no problem set {name!r}", "name")
    kind, config = _datasets()[name]
    fields = {field.name: field for field in settable(config)}
    for setting in settings:
        if setting not in fields:
            raise RefusedError(
                f"{name} has no setting {setting!r}; it has {', '.join(fields) or 'none'}", setting
            )
    chosen = {
        setting: _allowed(setting, value, _default(fields[setting])) for setting, value in settings.items()
    }
    try:
        return kind(config(**chosen, seed=given["seed"], size=_SIZE))
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f"{name} refuses these settings: {_said(error)}") from error


@lru_cache(maxsize=_KEPT)
def entry(asked: str, index: int) -> Any:
    """A problem of a data set."""
    return data_set(asked)[index]


def generate(asked: str, start: int, stop: int) -> list[tuple[int, str, str | None]]:
    """Problems by their index; those that the generator fails on are left out, unless it fails on all."""
    found: list[tuple[int, str, str | None]] = []
    failed: Exception | None = None
    chosen = data_set(asked)
    for index in range(start, stop):
        try:
            problem = chosen[index]
        except Exception as error:
            failed = error
            continue
        answer = problem["answer"]
        found.append((index, str(problem["question"]), None if answer is None else str(answer)))
    if failed is not None and not found:
        raise RefusedError(f"the generator fails: {_said(failed)}") from failed
    return found


def load(asked: str, index: int, question: str) -> None:
    """Have a problem at hand, and see that it is the one that was asked.

    Raises:
        RefusedError: it is another.
    """
    if str(entry(asked, index)["question"]) != question:
        raise RefusedError("it is not the same when it is generated again")


def score(asked: str, index: int, answer: str) -> float:
    """What an answer is worth, between 0 and 1.

    Raises:
        RefusedError: it must not be evaluated.
    """
    name = json.loads(asked)["name"]
    if name in EVALUATED and not EVALUATED[name](answer):
        raise RefusedError("the answer is no formula or list that may be evaluated")
    worth = float(data_set(asked).score_answer(answer, entry(asked, index)))
    return min(1.0, max(0.0, worth))


def answer_to(request: Mapping[str, Any]) -> dict[str, Any]:
    """What to write for a line."""
    try:
        if request["do"] == "list":
            return {"sets": catalogue()}
        asked = json.dumps(request["set"], sort_keys=True)
        match request["do"]:
            case "generate":
                return {"problems": generate(asked, request["start"], request["stop"])}
            case "load":
                load(asked, request["index"], request["question"])
                return {}
            case _:
                return {"score": score(asked, request["index"], request["answer"])}
    except RefusedError as error:
        return {"error": str(error), "setting": error.setting}
    except Exception as error:
        return {"error": _said(error), "setting": None}


def main() -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no reply
    for line in sys.stdin:
        replies.write(json.dumps(answer_to(json.loads(line))) + "\n")
        replies.flush()


def _datasets() -> Mapping[str, tuple[type, type]]:
    import reasoning_gym  # pyright: ignore[reportMissingImports] (an extra)
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]

    assert reasoning_gym
    return DATASETS


def _about(kind: type) -> str:
    lines = [line.strip() for line in (kind.__doc__ or "").strip().splitlines()]
    first = " ".join(lines[: lines.index("")] if "" in lines else lines)
    return first or kind.__name__


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


def _plain(value: Any) -> Any:
    """A default as JSON, None where it cannot be set."""
    if isinstance(value, bool | int | float | str):
        return value
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(each, int | float | str) for each in value)
    ):
        return list(value)
    return None


def _allowed(setting: str, value: Any, default: Any) -> Any:
    """A setting's value. A text has to be one that the default has: some are names of files, some evaluated.

    Raises:
        RefusedError: it is of another kind than the default, or another text.
    """
    if _plain(default) is None:
        raise RefusedError(f"{setting} cannot be set", setting)
    if isinstance(default, list | tuple):
        if not isinstance(value, list) or not value:
            raise RefusedError(f"{setting} is {value!r}; it is a list such as {_plain(default)}", setting)
        return type(default)(_element(setting, each, default) for each in value)
    return _element(setting, value, (default,))


def _element(setting: str, value: Any, defaults: Any) -> Any:
    texts = [each for each in defaults if isinstance(each, str)]
    if texts:
        if value not in texts:
            raise RefusedError(f"{setting} is {value!r}; it is one of {', '.join(map(repr, texts))}", setting)
        return value
    wanted = type(defaults[0])
    fits = isinstance(value, int | float) if wanted is float else isinstance(value, int)
    if not fits or isinstance(value, bool) != (wanted is bool):
        raise RefusedError(f"{setting} is {value!r}; it is a number such as {defaults[0]!r}", setting)
    return value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    main()
