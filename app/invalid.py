"""From pydantic's account of bad data to one sentence: the field, its value, what is allowed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

_SHOWN_CHARACTERS = 80

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Complaint:
    """What is wrong. param: where in the data, None for all of it. missing: it is not there at all."""

    message: str
    param: str | None
    missing: bool = False


def refusal(param: str, message: str) -> PydanticCustomError:
    """A validation error with its own wording, to blame on the field `param`."""
    return PydanticCustomError("refused", "{message}", {"message": message, "param": param})


def first_complaint(
    details: Sequence[Mapping[str, Any]], data: object, model: type[BaseModel] | None
) -> Complaint | None:
    """The first thing that is wrong with `data`, of what pydantic found.

    details: their `loc` begins in `data`. model: its fields' descriptions give their meaning and range.
    None: the data is no object at all.
    """
    first = details[0]
    if first["type"] == "refused":
        return _refused(first, data)
    detail, path = _most_telling(details, data)
    if not path:
        return None
    param = _render(path)
    meaning = _meaning(path, model)
    if detail["type"] == "missing":
        return Complaint(f"{param} is missing{meaning}", param, missing=True)
    if detail["type"] == "extra_forbidden":
        return Complaint(f"unknown field {param!r}{meaning}", param)
    return Complaint(f"{param} is {show(_at(data, path))}; {_reason(detail)}{meaning}", param)


def show(value: object) -> str:
    """A value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return (
        text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
    )


def _refused(detail: Mapping[str, Any], data: object) -> Complaint:
    """A refusal names its own field; what lies above it is known from where it was raised."""
    message, param = str(detail["ctx"]["message"]), str(detail["ctx"]["param"])
    path = _path(detail, data)
    if path and path[-1] == param.partition("[")[0].partition(".")[0]:
        path = path[:-1]
    where = _render(path)
    return Complaint(f"{where}: {message}", f"{where}.{param}") if where else Complaint(message, param)


def _most_telling(details: Sequence[Mapping[str, Any]], data: object) -> tuple[Mapping[str, Any], Path]:
    """The complaint to answer with, of those about the first bad field.

    Several complaints about one field are mostly the branches of a union. Of those about the field itself
    none alone is the reason; of those deep within it, the deepest is from the branch that was meant.
    """
    located = [(detail, _path(detail, data)) for detail in details]
    field = located[0][1][:1]
    same = [(detail, path) for detail, path in located if path[:1] == field]
    shared = _common([path for _, path in same])
    if len(same) > 1 and len(shared) == 1:
        return {"type": "union"}, shared
    return max(same, key=lambda entry: len(entry[1]))


def _common(paths: Sequence[Path]) -> Path:
    """The beginning that all paths share."""
    length = 0
    while all(len(path) > length and path[length] == paths[0][length] for path in paths):
        length += 1
    return paths[0][:length]


def _path(detail: Mapping[str, Any], data: object) -> Path:
    """Where in the data the complaint is. Pydantic's location also holds names of union branches."""
    location: tuple[str | int, ...] = tuple(detail["loc"])
    path: list[str | int] = []
    value = data
    for depth, part in enumerate(location):
        last = depth == len(location) - 1
        absent = detail["type"] == "missing"
        if isinstance(value, dict) and (part in value or (last and absent)):
            path.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
    return tuple(path)


def _at(data: object, path: Path) -> object:
    value: Any = data
    for part in path:
        value = value[part]
    return value


def _render(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _meaning(path: Path, model: type[BaseModel] | None) -> str:
    """The field's description, unless the complaint is about something deep within it."""
    if model is None or not 1 <= len(path) <= 2:
        return ""
    field = model.model_fields.get(str(path[0]))
    return f". {field.description}" if field and field.description else ""


def _reason(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "union":
            return "that is none of what it takes"
        case "union_tag_not_found":
            return f"it has no {detail['ctx']['discriminator']}"
        case _:
            return str(detail["msg"]).replace("Input should", "it should").replace("Input tag", "its kind")
