"""A client of HTTP that costs a load test little: it runs on the cores of the server that it measures.

httpx2 takes 4 ms of a processor for a request, and this a fifth of that: at a hundred requests per second, a
third of a core is left to the server.
"""

import asyncio
import re
import time
from collections import deque
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: close\r\n", re.IGNORECASE)

KEPT_SECONDS = 2.0
"""So long a connection may wait for another request: less than a server keeps it open."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ThinClient:
    """Posts JSON to a server, over as many connections as there are requests at once; they are used again.

    It understands answers that tell their length, and nothing else.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._host, self._port = address.hostname, address.port
        self._idle: deque[tuple[float, Connection]] = deque()  # since when, the first one for longest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_idle(-1.0)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            OSError, asyncio.IncompleteReadError: the connection ended before.
            ValueError: the answer is of another kind.
        """
        self._close_idle(KEPT_SECONDS)
        if self._idle:
            reader, writer = self._idle.pop()[1]
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        header = await reader.readuntil(b"\r\n\r\n")
        status, length = _STATUS.match(header), _LENGTH.search(header)
        if status is None or length is None:
            raise ValueError(f"an answer of no known length: {header[:200]!r}")
        content = await reader.readexactly(int(length[1]))
        if _CLOSE.search(header):
            writer.close()
        else:
            self._idle.append((time.monotonic(), (reader, writer)))
        return int(status[1]), content

    def _close_idle(self, seconds: float) -> None:
        """Close what has waited for longer."""
        while self._idle and time.monotonic() - self._idle[0][0] > seconds:
            self._idle.popleft()[1][1].close()
