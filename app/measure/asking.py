"""Putting many requests to an engine at once and taking their answers in order, without HTTP."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from app.engine.stream import Stream
from app.engine.types import ChoiceDone, Failed, RequestDone, StreamItem, TokenOut, Usage

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Answer:
    """The only choice of a request: its whole text, how it ended, and what it cost."""

    text: str
    done: ChoiceDone
    usage: Usage


def collect(stream: Iterable[StreamItem]) -> Answer:
    """The answer to a request of one choice, from its stream or all that came out of it.

    Raises:
        DemurError: what the request failed of.
    """
    text, done, usage = "", None, None
    for item in stream:
        match item:
            case TokenOut(text=piece):
                text += piece
            case ChoiceDone():
                text, done = text + item.text, item
            case RequestDone():
                usage = item.usage
            case Failed(error=error):
                raise error
            case _:
                pass
    assert done is not None, "a stream ends with its choice"
    assert usage is not None, "and with its usage"
    return Answer(text, done, usage)


def answer_all(
    asked: Iterable[Asked], submit: Callable[[Asked], Stream], at_once: int
) -> Iterator[tuple[Asked, Answer]]:
    """Each thing asked with its answer, in order; `at_once` requests are under way at any moment."""
    waiting = iter(asked)
    window = [(each, submit(each)) for each in islice(waiting, at_once)]
    while window:
        first, stream = window.pop(0)
        yield first, collect(stream)
        window += [(each, submit(each)) for each in islice(waiting, 1)]
