"""Server-sent events as OpenAI sends them: `data: {json}`, and `data: [DONE]` or an error at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.errors import log_what_is_not_told, to_api_error
from app.api.request_record import RequestRecord

_SECONDS_AT_ONCE = 0.002
"""How long a stream keeps the event loop to itself, one chunk apart."""

Chunk = BaseModel | str
"""One event's data: a model, or its JSON."""

MAY_BE_A_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. With `stream: true` it comes as server-sent events, each with a part of "
        "it in the same shape, and `[DONE]` or an error as the last.",
        # No schema: what one would be of, an event or the text, is for each reader to say.
        "content": {"text/event-stream": {}},
    }
}
"""What the document says of a route that answers either way."""


class EventStream(StreamingResponse):
    """A response of events that calls `close` when it ends, whichever way: done, failed or client gone.

    chunks: what there is to say, as many at a time as are there. `close` may be called twice.
    """

    def __init__(
        self, chunks: AsyncIterator[Iterable[Chunk]], *, record: RequestRecord, close: Callable[[], None]
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
    chunks: AsyncIterator[Iterable[Chunk]], record: RequestRecord, close: Callable[[], None]
) -> AsyncIterator[bytes]:
    """The bytes of a stream: what is there at a time goes out in one piece.

    An error comes after the status was sent, so it becomes the last event, with the request's id. `close` is
    called before the last event: who has that knows that all is counted.
    """
    try:
        async for several in chunks:
            written: list[str] = []
            begun = time.perf_counter()
            for chunk in several:
                written.append(_event(chunk if isinstance(chunk, str) else chunk.model_dump_json()))
                if time.perf_counter() - begun > _SECONDS_AT_ONCE:
                    yield "".join(written).encode()
                    written.clear()
                    await asyncio.sleep(0)
                    begun = time.perf_counter()
            if written:
                yield "".join(written).encode()
    except Exception as error:
        log_what_is_not_told(error, record.id)
        close()
        told = record.failing(to_api_error(error, record.id))
        yield _event(told.envelope.model_copy(update={"request_id": record.id}).model_dump_json()).encode()
    else:
        close()
        yield _event("[DONE]").encode()


def _event(data: str) -> str:
    return f"data: {data}\n\n"
