"""What no client library sends: bytes on a socket, and what comes back."""

import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HOST = b"host: localhost\r\n"


@dataclass(frozen=True)
class Heard:
    """What a server sent, and whether it closed the connection."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> Sequence[int]:
        """The status of every answer, interim ones left out."""
        found = (int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", self.data))
        return [status for status in found if status >= 200]

    @property
    def error(self) -> Mapping[str, Any]:
        """The error of the last answer, which has to be a whole envelope."""
        head, _, body = self.data.rpartition(b"\r\n\r\n")
        assert b"content-type: application/json" in head
        assert b"x-content-type-options: nosniff" in head
        assert b"x-request-id: " in head
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


def connect(url: str) -> socket.socket:
    """A connection to the server at `url`."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def listen(sock: socket.socket, seconds: float, until: bytes | None = None) -> Heard:
    """Everything that comes until the server closes, or has said `until`, or for `seconds`."""
    end, data = time.monotonic() + seconds, b""
    while (left := end - time.monotonic()) > 0 and (until is None or until not in data):
        sock.settimeout(left)
        try:
            part = sock.recv(65536)
        except TimeoutError:
            break
        except ConnectionError:
            return Heard(data, closed=True)
        if not part:
            return Heard(data, closed=True)
        data += part
    return Heard(data, closed=False)


def talk(url: str, data: bytes, *, half_close: bool = False, seconds: float = 30.0) -> Heard:
    """Send `data` and listen until the server closes."""
    with connect(url) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return listen(sock, seconds)


def get(path: str, *headers: bytes) -> bytes:
    """A GET request."""
    return b"\r\n".join((f"GET {path} HTTP/1.1\r\nhost: localhost".encode(), *headers)) + b"\r\n\r\n"


def post(path: str, body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    """A POST request of JSON, which may say another length than it has."""
    framing = f"content-length: {len(body) if length is None else length}".encode()
    start = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json".encode()
    return b"\r\n".join((start, framing, *headers)) + b"\r\n\r\n" + body
