"""What every path says about its methods: HEAD where there is GET, OPTIONS everywhere, a complete `Allow`."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
"""The methods that have a meaning (RFC 9110, 5789)."""

SERVED = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
"""Those that some path has."""


class Methods:
    """Answers HEAD as GET without the body, and OPTIONS by the path's methods."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await _as_get(self.app, scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "OPTIONS" and (allowed := allowed_methods(scope)):
            headers = {"allow": ", ".join(allowed)}
            await Response(status_code=204, headers=headers)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def allowed_methods(scope: Scope) -> Sequence[str]:
    """The methods that the request's path has; none if there is no such path. `*` is every path."""
    if scope["path"] == "*":
        return SERVED
    routes = scope["app"].router.routes

    def has(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)

    own = [method for method in METHODS if has("GET" if method == "HEAD" else method)]
    return [*own, "OPTIONS"] if own else []


async def _as_get(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    answered = False

    async def send_head(message: Message) -> None:
        nonlocal answered
        if not answered:
            await send(message)
        if not answered and message["type"] == "http.response.start":
            answered = True
            await send({"type": "http.response.body", "body": b""})

    async def receive_until_answered() -> Message:
        return {"type": "http.disconnect"} if answered else await receive()  # it ends a stream of events

    get = {**scope, "method": "GET"}
    try:
        await app(get, receive_until_answered, send_head)
    finally:
        if "route" in get:
            scope["route"] = get["route"]  # for the metrics
