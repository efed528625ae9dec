"""Lets requests through by the key that they bring, within the limits that the key has."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import ApiError
from app.api.key_ring import KeyRing
from app.api.rate_limits import RateLimits
from app.api.request_record import record_in
from app.settings import Settings


class KeyGate:
    """Lets requests to /v1, and to what else is protected, through only with a key of the ring.

    Requests to /v1 count for the key's limits.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing, protected: frozenset[str]) -> None:
        """
        Args:
            protected: paths outside /v1 that want a key too.
        """
        self.app = app
        self._ring = ring
        self._protected = protected
        self._limits = RateLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = routed_path(scope)
        counted = path.startswith("/v1/")
        if not counted and path.rstrip("/") not in self._protected:
            await self.app(scope, receive, send)
            return
        record = record_in(scope)
        given = Headers(scope=scope).get("authorization", "")
        shown = key_in(given)
        key = None if shown is None else self._ring.find(shown)
        if key is None:
            await record.failing(_unauthorized(given)).response()(scope, receive, send)
            return
        record.key = key.name
        if not counted:
            await self.app(scope, receive, send)
            return
        try:
            told = self._limits.begin(key)
        except ApiError as error:
            await record.failing(error).response()(scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        try:
            await self.app(scope, receive, send_with_limits if told else send)
        finally:
            self._limits.end(key, record.tokens)


def protected_paths(settings: Settings) -> frozenset[str]:
    """The paths outside /v1 that want a key."""
    metrics = ("/metrics",) if settings.protect_metrics else ()
    docs = ("/docs", "/openapi.json") if settings.protect_docs else ()
    return frozenset((*metrics, *docs))


def routed_path(scope: Scope) -> str:
    """The path that routes are found by: without the one below which a proxy, or another application, has
    all of this one (uvicorn's `--root-path`)."""
    path, root = scope["path"], scope.get("root_path", "")
    below = path.removeprefix(root)
    return below if below.startswith("/") else path


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
