"""Strict JSON, bounded in what it may hold before it is parsed."""

import json
import re
from typing import Any, NoReturn

from app.api.errors import ApiError

MAX_CONTAINERS = 20_000
"""Most lists and objects of a body. They are what parsing and validation take long for, and a megabyte may
hold 350,000. The most that means anything is a comparison on as many problems as a server takes: 10,000."""

MAX_NAMES = 1024
"""Most names of one object: no field takes an object of more."""

# The escapes \ud800 to \udfff: two make one character, one alone is none.
_MAYBE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_DEPTH = 500
"""Most lists and objects within each other; no field takes more than six."""

# A text, in which brackets are none, or a bracket.
_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(content: bytes) -> object:
    """The value of a body.

    Raises:
        ApiError: it is not JSON, or holds more lists and objects, or names, than any request needs.
    """
    if not content.strip():
        raise ApiError("The body is empty; send a JSON object", code="invalid_json")
    _require_few(content)
    try:
        value = json.loads(
            content.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
        if _MAYBE_SURROGATE.search(content):
            _require_unicode(value)  # which goes as deep
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise ApiError(message, code="invalid_json") from error
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}"
        raise ApiError(message, code="invalid_json") from error
    except RecursionError as error:
        raise ApiError("The body is nested too deeply", code="invalid_json") from error
    except ValueError as error:  # Python refuses to read integers of thousands of digits
        raise ApiError("The body holds an integer of thousands of digits", code="invalid_json") from error
    return value


def _require_few(content: bytes) -> None:
    if content.count(b"[") + content.count(b"{") <= MAX_CONTAINERS:
        return
    count = depth = 0
    for found in _TEXT_OR_BRACKET.finditer(content):
        first = found[0][:1]
        if first in b"[{":
            count, depth = count + 1, depth + 1
        elif first in b"]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise ApiError("The body is nested too deeply", code="invalid_json")
        if count > MAX_CONTAINERS:
            raise ApiError(
                f"The body holds more than {MAX_CONTAINERS} lists and objects. "
                "Send fewer prompts, messages or problems per request",
                code="out_of_range",
            )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise ApiError(
            f"The body holds an object of {len(pairs)} names, beginning with {pairs[0][0][:40]!r}; no field "
            f"takes more than {MAX_NAMES}",
            code="out_of_range",
        )
    return dict(pairs)


def _require_unicode(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code_point = ord(error.object[error.start])
        message = f"The body holds \\u{code_point:04x}, half of a surrogate pair, which is no character"
        raise ApiError(message, code="invalid_json") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ApiError(f"The body holds {name}, which is not JSON; send a finite number", code="invalid_json")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ApiError(
            f"The body holds {text[:40]}, which is too large; send a finite number", code="invalid_json"
        )
    return value
