"""What happens around every request: its id, its API key, its metrics, and answers to faults of ours."""

import asyncio
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import ApiError, internal
from app.api.metrics import Metrics

log = logging.getLogger(__name__)

_USABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CLIENT_GONE = 499  # no answer was sent; nginx's number for it


class RequestContext:
    """Gives every request an id, counts it, and answers 500 to what nothing else has caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = _CLIENT_GONE

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["x-content-type-options"] = "nosniff"  # what is sent as JSON is never run as a script
            await send(message)

        try:
            with self.metrics.request_in_progress():
                await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            log.info("request %s: the client went away", request_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if status != _CLIENT_GONE:
                raise  # the answer has begun; only closing the connection tells the client
            await internal(request_id).response()(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.observe_request(scope["method"], route, status, time.perf_counter() - started)


class BodyTimeout:
    """Ends with status 408 the wait for a body that does not arrive in time."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        complete = False
        until = asyncio.get_running_loop().time() + self._seconds

        async def receive_in_time() -> Message:
            nonlocal complete
            try:
                async with asyncio.timeout_at(None if complete else until):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            complete = complete or not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)

    def _too_slow(self) -> ApiError:
        return ApiError(
            f"The request's body did not arrive within {self._seconds:g} s (DEMUR_BODY_TIMEOUT_SECONDS)",
            status=408,
            code="request_timeout",
            headers={"connection": "close"},
        )


class ApiKeyGate:
    """Lets requests to /v1 through only with the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self._expected = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            given = Headers(scope=scope).get("authorization", "")
            key = key_in(given)
            if key is None or not secrets.compare_digest(key, self._expected):
                await _unauthorized(given).response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


def key_in(authorization: str) -> bytes | None:
    """The key of an `Authorization: Bearer KEY`, in the bytes as they came; None for what is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip(" ").encode("latin-1") if scheme.lower() == "bearer" else None


def _unauthorized(given: str) -> ApiError:
    what = "The API key is not the right one" if given else "There is no API key"
    return ApiError(
        f"{what}; send it as the header `Authorization: Bearer KEY`",
        status=401,
        type="authentication_error",
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )


def fresh_request_id() -> str:
    """An id for a request that brings none."""
    return f"req-{secrets.token_hex(12)}"


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _USABLE_ID.fullmatch(given) else fresh_request_id()
