"""Strict JSON bodies: type, size and syntax are checked before anything looks at a field."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api.errors import ApiError
from app.api.json_body import parse_json
from app.api.offloop import OffLoop
from app.api.service import require_room_for_any, service_of, serving_with_room
from app.api.validation import of_query, validated


class StrictJsonRequest(Request):
    """A request whose body is read once, up to a limit, and is a valid model or refused."""

    _model: BaseModel

    async def load(self, limit: int) -> None:
        """Read the body.

        Raises:
            ApiError: 413 over the limit of bytes, 415 for another content type.
        """
        content = await _read(self, limit)
        _require_json_type(self.headers.get("content-type"))
        self._body = content  # what Request.body() returns from now on

    async def parse(self, model: type[BaseModel], off_loop: OffLoop) -> None:
        """Parse and validate the body that was read; a large one beside the event loop.

        Raises:
            ApiError: 400 for what is not JSON or not valid.
        """
        content = self._body
        self._model = await off_loop.read(len(content), lambda: validated(parse_json(content), model))

    async def json(self) -> Any:
        # FastAPI validates what this returns, and takes an instance of the model as it is.
        return self._model


class StrictJsonRoute(APIRoute):
    """A route whose bodies are strict JSON and whose complaints are error envelopes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        body_type = self.body_field.field_info.annotation if self.body_field else None
        body_model = body_type if isinstance(body_type, type) and issubclass(body_type, BaseModel) else None
        query = self.dependant.query_params[0].field_info.annotation if self.dependant.query_params else None
        query_model = query if isinstance(query, type) and issubclass(query, BaseModel) else None
        waits = any(each.call is serving_with_room for each in self.dependant.dependencies)

        async def strict(request: Request) -> Response:
            if body_model is not None:
                request = StrictJsonRequest(request.scope, request.receive)
                service = service_of(request)
                await request.load(service.settings.max_body_bytes)
                if waits:
                    require_room_for_any(request)
                await request.parse(body_model, service.off_loop)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise of_query(error, query_model) from error

        return strict


async def size_of(request: Request) -> int:
    """Bytes of the request's body."""
    return len(await request.body())


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
