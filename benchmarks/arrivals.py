"""When the tokens of a streamed completion arrive at a client."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any


async def arrivals(port: int, body: Mapping[str, Any]) -> list[float]:
    """When each event of a completion arrived that a server on the loopback streams, by `time.perf_counter`.

    Reads raw bytes and counts events: a client that shares a machine with what it measures must cost little.

    Args:
        body: of `/v1/completions`; `stream` is added.
    """
    content = json.dumps({**body, "stream": True})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n"
    writer.write(f"{head}content-type: application/json\r\nconnection: close\r\n\r\n{content}".encode())
    arrived: list[float] = []
    while data := await reader.read(65536):
        arrived += [time.perf_counter()] * data.count(b'"text"')
    writer.close()
    return arrived
