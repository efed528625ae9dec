"""How a generation is answered, whatever the endpoint: in one piece or as a stream."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from fastapi import Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from app.api.answers import JsonAnswer
from app.api.generation_streams import Collected, Generation, unless_disconnected
from app.api.pieces import json_of
from app.api.rendering import weight_of
from app.api.request_record import record_of
from app.api.service import service_of
from app.api.streaming import Chunk, EventStream


class Answer(Protocol):
    """How one endpoint words a generation."""

    def whole(self, collected: Collected) -> BaseModel:
        """The answer in one piece."""
        ...

    def chunks(self, generation: Generation) -> AsyncIterator[Iterable[Chunk]]:
        """The answer as it is written, as much at a time as is there."""
        ...


async def reply(
    request: Request, generation: Generation, answer: Answer, *, stream: bool, warnings: Sequence[str]
) -> Response:
    """The response to a generation, which is cancelled if the client goes away.

    warnings: go with the whole answer, or with the first chunk.
    """
    if stream:
        chunks = answer.chunks(generation)
        if warnings:
            chunks = _warned(chunks, warnings)
        return EventStream(chunks, record=record_of(request), close=generation.close)
    try:
        collected = await unless_disconnected(request, generation.collect())
    finally:
        generation.close()
    content = await service_of(request).off_loop.write(
        _weight(collected), lambda: json_of(_with(answer.whole(collected), warnings))
    )
    return JsonAnswer(content)


async def _warned(
    chunks: AsyncIterator[Iterable[Chunk]], warnings: Sequence[str]
) -> AsyncIterator[Iterable[Chunk]]:
    told = False
    async for several in chunks:
        if told:
            yield several
            continue
        begun = list(several)
        if begun:
            begun[0] = _with_json(begun[0], warnings)
            told = True
        yield begun


def _with_json(chunk: Chunk, warnings: Sequence[str]) -> Chunk:
    if isinstance(chunk, str):
        return f'{chunk[:-1]},"warnings":{to_json(warnings).decode()}}}'
    return _with(chunk, warnings)


def _with(answer: BaseModel, warnings: Sequence[str]) -> BaseModel:
    return answer.model_copy(update={"warnings": list(warnings)}) if warnings else answer


def _weight(collected: Collected) -> int:
    """Numbers and texts of the answer, about."""
    rows = [written.done.tokens for written in collected.choices]
    rows += [collected.scored[each.prompt].tokens for each in collected.choices if collected.scored]
    return sum(map(weight_of, rows))
