"""GET / and /web/...: the playground, static files that need nothing from the network."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).resolve().parent.parent.parent / "web"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

# Only files of this server, and no script, style or handler inside a document. Charts set styles by
# script, one property at a time, which style-src does not concern.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "cache-control": "no-cache",  # kept, but asked about every time: a new version is seen at once
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class WebFile:
    """A file of the page, as it is sent."""

    content: bytes
    media_type: str
    etag: str


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The playground. It is open even where /v1 wants a key: the page asks for it."""
    return _answer(request, "index.html")


@router.api_route("/web/{path:path}", methods=["GET", "HEAD"])
async def file(request: Request, path: str) -> Response:
    """A file of the playground."""
    return _answer(request, path)


def _answer(request: Request, path: str) -> Response:
    found = _files().get(path)
    if found is None:
        raise HTTPException(404)
    headers = {**_HEADERS, "etag": found.etag}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


@cache
def _files() -> Mapping[str, WebFile]:
    """What a browser may ask for, by its path; they are few and small, so they are read once."""
    return {
        path.relative_to(_FOLDER).as_posix(): _read(path)
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }


def _read(path: Path) -> WebFile:
    content = path.read_bytes()
    return WebFile(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
