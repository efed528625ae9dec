"""Server-sent events as OpenAI sends them: `data: {json}`, and `data: [DONE]` or an error at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.errors import log_what_is_not_told, to_api_error
from app.api.request_record import RequestRecord

_SECONDS_AT_ONCE = 0.002
"""How long a stream keeps the event loop to itself, one chunk apart."""


class EventStream(StreamingResponse):
    """A response of events that calls `close` when it ends, whichever way: done, failed or client gone.

    `close` may be called twice."""

    def __init__(
        self, chunks: AsyncIterator[BaseModel], *, record: RequestRecord, close: Callable[[], None]
    ) -> None:
        super().__init__(
            encode(chunks, record, close),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def encode(
    chunks: AsyncIterator[BaseModel], record: RequestRecord, close: Callable[[], None]
) -> AsyncIterator[bytes]:
    """The bytes of a stream. An error comes after the status was sent, so it becomes the last event, with
    the request's id. `close` is called before it: who has the last event knows that all is counted."""
    begun = time.perf_counter()
    try:
        async for chunk in chunks:
            yield _event(chunk.model_dump_json())
            # Where chunks wait already, nothing here waits, and others would wait for all of them.
            if time.perf_counter() - begun > _SECONDS_AT_ONCE:
                await asyncio.sleep(0)
                begun = time.perf_counter()
    except Exception as error:
        log_what_is_not_told(error, record.id)
        close()
        told = record.failing(to_api_error(error, record.id))
        yield _event(told.envelope.model_copy(update={"request_id": record.id}).model_dump_json())
    else:
        close()
        yield _event("[DONE]")


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
