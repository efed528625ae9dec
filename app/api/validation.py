"""From pydantic's account of a bad body to one sentence: the field, its value, what is allowed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.errors import ApiError

_SHOWN_CHARACTERS = 80


def of_validation(error: RequestValidationError, body_model: type[BaseModel] | None) -> ApiError:
    """The first thing that is wrong with a request.

    `body_model` gives the meaning and range of a field, from its description.
    """
    details: Sequence[Mapping[str, Any]] = error.errors()
    context = details[0].get("ctx") or {}
    if details[0]["type"] == "refused":
        return ApiError(str(context["message"]), param=str(context["param"]), code="invalid_value")
    detail, path = _most_telling(details, error.body)
    if not path:
        return ApiError(
            f"The body is {_show(error.body)}; it must be a JSON object with the route's fields",
            code="invalid_value",
        )
    param = _render(path)
    meaning = _meaning(path, body_model)
    if detail["type"] == "missing":
        return ApiError(f"{param} is missing{meaning}", param=param, code="missing_field")
    if detail["type"] == "extra_forbidden":
        return ApiError(f"unknown field {param!r}{meaning}", param=param, code="invalid_value")
    reason = _reason(detail)
    value = _show(_at(error.body, path))
    return ApiError(f"{param} is {value}; {reason}{meaning}", param=param, code="invalid_value")


Path = tuple[str | int, ...]


def _most_telling(details: Sequence[Mapping[str, Any]], body: object) -> tuple[Mapping[str, Any], Path]:
    """The complaint to answer with, of those about the first bad field.

    Several complaints about one field are mostly the branches of a union. Of those about the field itself
    none alone is the reason; of those deep within it, the deepest is from the branch that was meant.
    """
    located = [(detail, _path(detail, body)) for detail in details]
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


def _path(detail: Mapping[str, Any], body: object) -> Path:
    """Where in the body the complaint is. Pydantic's location also holds names of union branches."""
    location: tuple[str | int, ...] = tuple(detail["loc"])[1:]
    path: list[str | int] = []
    value = body
    for depth, part in enumerate(location):
        last = depth == len(location) - 1
        if isinstance(value, dict) and (part in value or (last and detail["type"] == "missing")):
            path.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
    return tuple(path)


def _at(body: object, path: Path) -> object:
    value: Any = body
    for part in path:
        value = value[part]
    return value


def _render(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _meaning(path: Path, body_model: type[BaseModel] | None) -> str:
    """The field's description, unless the complaint is about something deep within it."""
    if body_model is None or not 1 <= len(path) <= 2:
        return ""
    field = body_model.model_fields.get(str(path[0]))
    return f". {field.description}" if field and field.description else ""


def _reason(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "union":
            return "that is none of what it takes"
        case "union_tag_not_found":
            return "it has no 'kind'"
        case _:
            return str(detail["msg"]).replace("Input should", "it should").replace("Input tag", "its kind")


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return (
        text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
    )
