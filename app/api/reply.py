"""How a generation is answered, whatever the endpoint: in one piece or as a stream."""

from collections.abc import AsyncIterator
from typing import Protocol

from fastapi import Request, Response
from pydantic import BaseModel

from app.api.answers import JsonAnswer
from app.api.generation import Collected, Generation, unless_disconnected
from app.api.service import request_id_of
from app.api.streaming import EventStream


class Answer(Protocol):
    """How one endpoint words a generation."""

    def whole(self, collected: Collected) -> BaseModel:
        """The answer in one piece."""
        ...

    def chunks(self, generation: Generation) -> AsyncIterator[BaseModel]:
        """The answer as it is written."""
        ...


async def reply(request: Request, generation: Generation, answer: Answer, *, stream: bool) -> Response:
    """The response to a generation, which is cancelled if the client goes away."""
    if stream:
        return EventStream(
            answer.chunks(generation), request_id=request_id_of(request), close=generation.cancel
        )
    try:
        collected = await unless_disconnected(request, generation.collect())
    finally:
        generation.cancel()
    return JsonAnswer(answer.whole(collected))
