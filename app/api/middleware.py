"""What happens around every request: its id, metrics, its line in the log, answers to faults of ours."""

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
from app.api.request_record import RequestRecord
from app.api.tracing import describe_span

log = logging.getLogger(__name__)
requests = logging.getLogger("app.requests")

_USABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ASKED_ALL_THE_TIME = ("/health/live", "/health/ready", "/metrics")
_CLIENT_GONE = 499  # no answer was sent; nginx's number for it


class RequestContext:
    """Gives every request an id, counts it, and answers 500 to what nothing else has caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, tracing: bool = False) -> None:
        self.app = app
        self.metrics = metrics
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = RequestRecord(_request_id(Headers(scope=scope)))
        scope.setdefault("state", {})["record"] = record
        started = time.perf_counter()
        status, complete = _CLIENT_GONE, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = record.id
                headers["x-content-type-options"] = "nosniff"  # what is sent as JSON is never run as a script
            elif not message.get("more_body", False):
                complete = True
                if self.tracing:
                    describe_span(record)  # the span ends with the answer
            await send(message)

        try:
            with self.metrics.request_in_progress():
                await self.app(scope, receive, send_with_id)
            if not complete:  # a stream that nobody listens to any more ends without an error
                raise ClientDisconnect
        except ClientDisconnect:
            record.error = "client_gone"
            if self.tracing:
                describe_span(record)
        except Exception:
            log.exception("request %s failed", record.id)
            record.failing(internal(record.id))
            if status != _CLIENT_GONE:
                raise  # the answer has begun; only closing the connection tells the client
            await internal(record.id).response()(scope, receive, send_with_id)
        finally:
            route, seconds = getattr(scope.get("route"), "path", "unmatched"), time.perf_counter() - started
            self.metrics.observe_request(scope["method"], route, status, seconds)
            _log_request(scope["method"], route, status, seconds, record)


def _log_request(method: str, route: str, status: int, seconds: float, record: RequestRecord) -> None:
    """One line for every request. Those that ask how the server is come all the time, and say nothing new."""
    if status >= 500:
        outcome = "server_error"
    elif record.error == "client_gone" or status == _CLIENT_GONE:
        outcome = "client_gone"
    elif status >= 400:
        outcome = "refused"
    else:
        outcome = "broken_off" if record.error else "ok"
    level = logging.DEBUG if route in _ASKED_ALL_THE_TIME and outcome == "ok" else logging.INFO
    what = {
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
        "outcome": outcome,
    }
    requests.log(level, "request", extra=what | record.told())


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


def fresh_request_id() -> str:
    """An id for a request that brings none."""
    return f"req-{secrets.token_hex(12)}"


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _USABLE_ID.fullmatch(given) else fresh_request_id()
