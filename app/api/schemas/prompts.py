"""What a request calls its prompt: a text, texts, token ids, or lists of token ids."""

from collections.abc import Iterator
from typing import Annotated, Any, cast

from pydantic import Field, PlainValidator, ValidationInfo

from app.invalid import refusal, show

GivenPrompts = str | list[str] | list[int] | list[list[int]]
"""Checked: a list is not empty, and all of it is like its first item."""


def _checked(value: Any, info: ValidationInfo) -> GivenPrompts:
    """The value, if it is one of the four things and nothing in it is empty.

    Pydantic would try all four of a list, and say of each why not.
    """
    name = str(info.field_name)
    if not isinstance(value, str | list):
        raise _none_of_it(name, value)
    _require_some(name, value)
    if isinstance(value, str):
        return value
    kinds = set(map(type, value))
    if kinds == {int}:
        _require_ids(name, value)
    elif kinds in ({str}, {list}):
        for place, item in enumerate(value):
            where = f"{name}[{place}]"
            _require_some(where, item)
            if isinstance(item, list):
                if set(map(type, item)) != {int}:
                    raise _none_of_it(name, value)
                _require_ids(where, item)
    else:
        raise _none_of_it(name, value)
    return value


def _require_some(where: str, value: str | list[Any]) -> None:
    if not value:
        what = "an empty string" if isinstance(value, str) else "an empty list"
        raise refusal(
            where, f"{where} is {what}; the model needs at least one token to go on from", "out_of_range"
        )


def _require_ids(where: str, ids: list[int]) -> None:
    if (least := min(ids)) < 0:
        where = f"{where}[{ids.index(least)}]"
        raise refusal(where, f"{where} is {least}; token ids are 0 to the vocabulary's last", "out_of_range")


def _none_of_it(name: str, value: Any) -> Exception:
    return refusal(
        name, f"{name} is {show(value)}; that is none of what it takes. {PROMPTS_DESCRIPTION}", "invalid_type"
    )


PROMPTS_DESCRIPTION = (
    "A string, a list of strings, a list of token ids (0 or more), or a list of such lists; none of them "
    "empty. A problem for the embedded model ends with its question."
)

_Text = Annotated[str, Field(min_length=1)]
_TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
_Schema = (
    _Text
    | Annotated[list[_Text], Field(min_length=1)]
    | _TokenIds
    | Annotated[list[_TokenIds], Field(min_length=1)]
)

# Only `_checked` looks at the value: pydantic's own look at half a million ids holds up every other thread.
Prompts = Annotated[
    GivenPrompts,
    PlainValidator(_checked, json_schema_input_type=_Schema),
    Field(description=PROMPTS_DESCRIPTION),
]


def count_of(given: GivenPrompts) -> int:
    """How many prompts these are."""
    return 1 if _is_one(given) else len(given)


def each_of(given: GivenPrompts, name: str) -> Iterator[tuple[str, str | list[int]]]:
    """Every prompt, with where it stands in the body. name: of the field."""
    if _is_one(given):
        yield name, cast(str | list[int], given)
    else:
        for place, each in enumerate(cast(list[str] | list[list[int]], given)):
            yield f"{name}[{place}]", each


def _is_one(given: GivenPrompts) -> bool:
    return isinstance(given, str) or isinstance(given[0], int)
