"""What of a request body is this service's own.

Foreign fields pass where they change nothing; else they are refused, with what to use instead."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from app.api.schemas.foreign import STREAM_OPTIONS_FOREIGN, Foreign
from app.invalid import quoted, refusal, show

_LONGEST_NAME = 64


def keep_own(data: Any, own: Collection[str], foreign: Mapping[str, Foreign]) -> Any:
    """The request body without nulls and without foreign fields that change nothing.

    Null means "the default" for every optional field, as the official clients mean it.

    Raises:
        PydanticCustomError: a foreign field that asks for something, or a field nobody knows; its context
            names the field as `param`.
    """
    if not isinstance(data, dict):
        return data
    kept: dict[Any, Any] = {}
    for name, value in data.items():
        if value is None and (name in own or name in foreign):
            continue
        if name in own:
            kept[name] = value
        elif name not in foreign:
            raise refusal(name, f"unknown field {quoted(name)}{_suggestion(name, own)}", "unknown_field")
        elif not _changes_nothing(value, foreign[name].no_op):
            raise refusal(
                name,
                f"{name} is {show(value)}, which is not supported: {foreign[name].reason}",
                "unsupported_field",
            )
    return kept


def keep_own_options(cls: type[Any], data: Any) -> Any:
    """A validator of `stream_options` as a whole."""
    return keep_own(data, cls.model_fields, STREAM_OPTIONS_FOREIGN)


def _changes_nothing(value: Any, no_op: tuple[object, ...]) -> bool:
    # 1 == True in Python, not in JSON.
    return any(
        value == harmless and isinstance(value, bool) == isinstance(harmless, bool) for harmless in no_op
    )


def _suggestion(name: object, own: Collection[str]) -> str:
    text = str(name)
    # The search for what is alike takes a time that grows with the name.
    near = difflib.get_close_matches(text, own, n=1) if len(text) <= _LONGEST_NAME else []
    return f"; did you mean {near[0]!r}?" if near else f"; known fields are {', '.join(sorted(own))}"
