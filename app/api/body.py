"""Strict JSON bodies: type, size and syntax are checked before anything looks at a field."""

import json
import re
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api.errors import ApiError
from app.api.service import service_of
from app.api.validation import of_validation

# The escapes \ud800 to \udfff: two make one character, one alone is none.
_MAYBE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJsonRequest(Request):
    """A request whose body is read once, up to a limit, and parsed as JSON and nothing else."""

    _strict_json: object

    async def load(self, limit: int) -> None:
        """Read and parse the body.

        Raises:
            ApiError: 413 over the limit, 415 for another content type, 400 for what is not JSON.
        """
        content = await _read(self, limit)
        _require_json_type(self.headers.get("content-type"))
        self._body = content  # what Request.body() returns from now on
        self._strict_json = _parse(content)

    async def json(self) -> Any:
        return self._strict_json


class StrictJsonRoute(APIRoute):
    """A route whose bodies are strict JSON and whose complaints are error envelopes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        body_type = self.body_field.field_info.annotation if self.body_field else None
        body_model = body_type if isinstance(body_type, type) and issubclass(body_type, BaseModel) else None
        query = self.dependant.query_params[0].field_info.annotation if self.dependant.query_params else None
        query_model = query if isinstance(query, type) and issubclass(query, BaseModel) else None

        async def strict(request: Request) -> Response:
            if body_model is not None:
                request = StrictJsonRequest(request.scope, request.receive)
                await request.load(service_of(request).settings.max_body_bytes)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise of_validation(error, body_model, query_model) from error

        return strict


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    content = bytearray()
    if not declared.isdecimal() or int(declared) <= limit:
        async for chunk in request.stream():
            content += chunk
            if len(content) > limit:
                break
        else:
            return bytes(content)
    raise ApiError(
        f"The body is larger than {limit} bytes, which is the most this server takes (DEMUR_MAX_BODY_BYTES); "
        "send fewer prompts per request",
        status=413,
        code="body_too_large",
        headers={"connection": "close"},  # the rest of the body is not read
    )


def _require_json_type(content_type: str | None) -> None:
    parsed = Message()
    parsed["content-type"] = content_type or ""
    if content_type is None or parsed.get_content_type() != "application/json":
        raise ApiError(
            f"content-type is {content_type!r}; send the body as application/json",
            status=415,
            param="content-type",
            code="unsupported_media_type",
        )


def _parse(content: bytes) -> object:
    if not content.strip():
        raise ApiError("The body is empty; send a JSON object", code="invalid_json")
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
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
    if _MAYBE_SURROGATE.search(content):
        _require_unicode(value)
    return value


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
            f"The body holds {text}, which is too large; send a finite number", code="invalid_json"
        )
    return value
