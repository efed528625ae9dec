"""Whose names a request may use: a page of somebody else's must not reach this server through a visitor.

A page at a name that its owner points to 127.0.0.1 after it was loaded ("DNS rebinding") is of the same
origin as this server to the browser. It cannot lie about the name, which is the request's `Host`.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import ApiError
from app.api.request_record import record_in
from app.settings import Settings

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]*)(:\d{0,5})?", re.IGNORECASE)


class HostGate:
    """Refuses requests that name another host than this one."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host")
            if host is not None and (error := refusal(host, self._names)):  # HTTP/1.0 may have none
                await record_in(scope).failing(error).response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


def names_of(settings: Settings) -> frozenset[str]:
    """The names that this server goes by; `*` for all."""
    own = ("localhost", "*.localhost", socket.gethostname(), settings.host)
    return frozenset(name.lower().rstrip(".") for name in (*own, *settings.allowed_hosts))


def refusal(host: str, names: Iterable[str]) -> ApiError | None:
    """What is wrong with a `Host` header, if anything. Any address may stand there: it cannot be rebound."""
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return ApiError(
            f"Host is {host[:80]!r}, which is no host and port", param="host", code="invalid_host"
        )
    name = found["name"].lower().rstrip(".")
    if _is_address(name) or any(_matches(name, allowed) for allowed in names):
        return None
    return ApiError(
        f"Host is {host[:80]!r}, which is not among the names of this server; use localhost or its address, "
        f"or let it answer to {name[:80] or 'this name'} with DEMUR_ALLOWED_HOSTS or --allowed-hosts",
        status=421,
        param="host",
        code="host_not_allowed",
    )


def _is_address(name: str) -> bool:
    try:
        if name.startswith("["):
            ipaddress.IPv6Address(name[1:-1])
        else:
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _matches(name: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return name.endswith(allowed[1:])
    return allowed in ("*", name)
