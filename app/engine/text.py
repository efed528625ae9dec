"""Token bytes to text that is never taken back: whole characters, and no part of a stop string."""

import codecs
from collections import deque
from collections.abc import Sequence

from app.decoding.core.types import Token
from app.engine.types import Served

Piece = tuple[Token, str]


def vocabulary_of(served: Served) -> list[bytes]:
    """Bytes of every id, for all that shows texts and their tokens. Special tokens, those that end a text,
    and ids that the tokenizer does not know have no text."""
    texts = full_vocabulary_of(served)
    for silent in (*served.tokenizer.special_ids, *served.model.spec.end_token_ids):
        if silent < len(texts):
            texts[silent] = b""
    return texts


def full_vocabulary_of(served: Served) -> list[bytes]:
    """The same with the names of special tokens."""
    spec, tokenizer = served.model.spec, served.tokenizer
    known = min(spec.vocab_size, tokenizer.vocab_size)
    return [*tokenizer.vocabulary[:known], *[b""] * (spec.vocab_size - known)]


class TextStream:
    """Releases tokens and their text as soon as both are certain.

    Held back are the bytes of an unfinished UTF-8 character, bytes that may be the beginning of a
    stop string, and tokens that begin with such bytes, since they may be no part of the text.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stops = [text.encode() for text in stop]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""
        self._held_from = 0  # offset of the first held byte in the whole text
        self._tokens: deque[tuple[Token, int, int]] = deque()  # with their first and last offset

    def push(self, token: Token, data: bytes) -> list[Piece]:
        """Add a token; returns the tokens released, each with the text that became certain."""
        if not self._stops:
            return [(token, self._decoder.decode(data))]
        end = self._append(token, data)
        return self._release(end - self._longest_stop_prefix())

    def finish(self, last: Sequence[tuple[Token, bytes]], cut: int) -> tuple[list[Piece], str]:
        """Add the last tokens and end the text `cut` bytes before their end.

        Returns the tokens released and the text left over.
        """
        end = self._held_from + len(self._held)
        for token, data in last:
            end = self._append(token, data)
        pieces = self._release(end - cut)
        rest = self._held[: max(0, end - cut - self._held_from)]
        return pieces, self._decoder.decode(rest, final=True)

    def _append(self, token: Token, data: bytes) -> int:
        """Hold a token; returns the offset at which the whole text ends now."""
        start = self._held_from + len(self._held)
        end = start + len(data)
        self._tokens.append((token, start, end))
        self._held += data
        return end

    def _release(self, safe: int) -> list[Piece]:
        """Release what lies before offset `safe`; of a token that crosses it, the part before."""
        pieces: list[Piece] = []
        # What is left of a token released in part goes out with the token after it.
        while self._tokens:
            token, start, end = self._tokens[0]
            if start > safe or (start == safe and end > start):
                break
            self._tokens.popleft()
            pieces.append((token, self._decoder.decode(self._take(min(end, safe)))))
        return pieces

    def _take(self, offset: int) -> bytes:
        size = max(0, offset - self._held_from)
        taken, self._held = self._held[:size], self._held[size:]
        self._held_from += size
        return taken

    def _longest_stop_prefix(self) -> int:
        """Length of the longest end of the held bytes that begins a stop string."""
        held = self._held
        longest = min(len(held), max(len(stop) for stop in self._stops) - 1)
        for size in range(longest, 0, -1):
            tail = held[-size:]
            if any(len(stop) > size and stop.startswith(tail) for stop in self._stops):
                return size
        return 0
