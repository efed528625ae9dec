"""Chunks of a stream that differ in their text alone: most of them, so written without a model for each."""

from collections.abc import Callable

from pydantic import BaseModel
from pydantic_core import to_json


class TextChunks:
    """The JSON of a stream's chunks with nothing but text, in which only the text is written anew.

    chunk: a chunk of a choice, with an empty text. key: the name of its text. Its first `"key":""` is the
    text's, since a quotation mark in the value of another field is escaped.
    """

    def __init__(self, key: str, chunk: Callable[[int], BaseModel]) -> None:
        self._key = key
        self._chunk = chunk
        self._around: dict[int, tuple[str, str]] = {}

    def json(self, index: int, text: str) -> str:
        """What `model_dump_json` makes of the chunk of this choice and text."""
        around = self._around.get(index)
        if around is None:
            before, _, after = self._chunk(index).model_dump_json().partition(f'"{self._key}":""')
            around = self._around[index] = f'{before}"{self._key}":', after
        return around[0] + to_json(text).decode() + around[1]
