"""From pydantic's account of bad data to one sentence: the field, its value, what is allowed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError

from app.errors import ErrorCode

_SHOWN_CHARACTERS = 80
_NAME_CHARACTERS = 200

Path = tuple[str | int, ...]

_Item = TypeVar("_Item")
Listed = Annotated[list[_Item], Field(fail_fast=True)]
"""A list that is looked at up to its first bad item: one answer needs no account of a million."""


@dataclass(frozen=True)
class Complaint:
    """What is wrong. param: where in the data, None for all of it. code: what kind of mistake it is."""

    message: str
    param: str | None
    code: ErrorCode = "invalid_value"


def refusal(param: str, message: str, code: ErrorCode = "invalid_value") -> PydanticCustomError:
    """A validation error with its own wording, to blame on the field `param`."""
    return PydanticCustomError("refused", "{message}", {"message": message, "param": param, "code": code})


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
    code = _code(detail)
    if detail["type"] == "missing":
        return Complaint(f"{param} is missing{meaning}", param, code)
    if detail["type"] == "extra_forbidden":
        known = _known_fields(path[:-1], _at(data, path[:-1]), model)
        return Complaint(f"unknown field {quoted(param)}{known}", param[:_NAME_CHARACTERS], code)
    return Complaint(f"{param} is {show(_at(data, path))}; {_reason(detail)}{meaning}", param, code)


def show(value: object) -> str:
    """A value as JSON, cut short. A large one takes no longer than its first characters."""
    if isinstance(value, str):
        text = json.dumps(value[: _SHOWN_CHARACTERS + 1], ensure_ascii=False)
        return text if len(value) <= _SHOWN_CHARACTERS else f"{text[:-2]}... ({len(value)} characters)"
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False, default=repr).iterencode(value):
        text += piece[: _SHOWN_CHARACTERS + 1]
        if len(text) > _SHOWN_CHARACTERS:
            items = f" ({len(value)} items)" if isinstance(value, list | dict) else ""
            return f"{text[:_SHOWN_CHARACTERS]}...{items}"
    return text


def quoted(name: object) -> str:
    """A name between quotes, cut short."""
    text = str(name)
    return repr(text) if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]!r}..."


def _refused(detail: Mapping[str, Any], data: object) -> Complaint:
    """A refusal names its own field; what lies above it is known from where it was raised."""
    context = detail["ctx"]
    message, param, code = str(context["message"]), str(context["param"]), context["code"]
    path = _path(detail, data)
    if path and path[-1] == param.partition("[")[0].partition(".")[0]:
        path = path[:-1]
    where = _render(path)
    full = f"{where}.{param}" if where else param
    return Complaint(f"{where}: {message}" if where else message, full[:_NAME_CHARACTERS], code)


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
        codes = [_code(detail) for detail, _ in same]
        # A branch of the right type says what else is wrong.
        telling = next((code for code in codes if code != "invalid_type"), codes[0])
        return {"type": "union", "code": telling}, shared
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


def _at(data: object, path: Path) -> Any:
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


def _known_fields(path: Path, value: object, model: type[BaseModel] | None) -> str:
    """The fields of the object at `path`, whose value is `value`, as the end of a sentence."""
    held: list[type[BaseModel]] = [] if model is None else [model]
    for part in path:
        if isinstance(part, str):
            held = [
                inner
                for outer in held
                if part in outer.model_fields
                for inner in _models(outer.model_fields[part].annotation)
            ]
    given: Mapping[str, Any] = value if isinstance(value, dict) else {}
    # Of a union's models that which the object's tag names: {"kind": "beam"}.
    tagged = [
        each
        for each in held
        if all(
            given.get(name) in get_args(field.annotation)
            for name, field in each.model_fields.items()
            if name in given and get_origin(field.annotation) is Literal
        )
    ]
    if len(tagged) != 1:
        return ""
    return f"; known fields are {', '.join(sorted(tagged[0].model_fields))}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field of this type may hold, in lists and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, list) or hasattr(annotation, "__metadata__"):
        return [each for part in get_args(annotation) for each in _models(part)]
    return []


def _code(detail: Mapping[str, Any]) -> ErrorCode:
    """What kind of mistake pydantic's type of error is."""
    kind = str(detail["type"])
    match kind:
        case "union":
            return detail["code"]
        case "refused":
            return detail["ctx"]["code"]
        case "missing" | "union_tag_not_found":
            return "missing_field"
        case "extra_forbidden":
            return "unknown_field"
        case "union_tag_invalid" | "literal_error" | "enum":
            return "unknown_name" if isinstance(detail.get("input"), str | dict) else "invalid_type"
        case "value_error" | "assertion_error":
            return "conflicting_fields"  # of the models' own checks, which look at several fields
        case "string_pattern_mismatch":
            return "invalid_value"
        case _ if kind.endswith(("_type", "_parsing", "_from_float")):
            return "invalid_type"
        case _ if kind.startswith(
            ("greater_than", "less_than", "too_", "string_too_", "finite_", "multiple")
        ):
            return "out_of_range"
        case _ if kind.endswith("_size"):  # integers beyond what a parser reads
            return "out_of_range"
        case _:
            return "invalid_value"


def _reason(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "union":
            return "that is none of what it takes"
        case "union_tag_not_found":
            return f"it has no {detail['ctx']['discriminator']}"
        case "union_tag_invalid":
            context = detail["ctx"]
            what = str(context["discriminator"]).strip("'")
            return f"there is no {what} {quoted(context['tag'])}, there are {context['expected_tags']}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "too_long":
            held, most = detail["ctx"]["actual_length"], detail["ctx"]["max_length"]
            return f"it holds {'more' if held is None else held}; at most {most} are allowed"
        case "too_short":
            least = detail["ctx"]["min_length"]
            held = detail["ctx"]["actual_length"]
            return f"it holds {held}; at least {least} item{'s are' if least > 1 else ' is'} needed"
        case _:
            told = str(detail["msg"])
            return told.replace("Input should", "it should").replace("String should", "it should")
