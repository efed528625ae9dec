"""Where in a text each of its tokens begins, in characters."""

import codecs


class Offsets:
    """Counts on from `start`, token by token.

    A token begins at the character that its first byte is a part of: three tokens that make one character
    begin at the same place, and a byte that is no part of the character before it begins the next one.
    """

    def __init__(self, start: int = 0) -> None:
        self._characters = start
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def advance(self, content: bytes) -> int:
        """Where a token of these bytes begins; the next one begins after it."""
        start = self._characters
        if content:
            # An unfinished character and one byte more are one character, or two if they do not go together.
            start += len((self._unfinished + content[:1]).decode(errors="replace")) - 1
        self._characters += len(self._decoder.decode(content))
        return start

    @property
    def end(self) -> int:
        """Where the text ends, if nothing comes any more."""
        return self._characters + bool(self._unfinished)

    @property
    def _unfinished(self) -> bytes:
        """The bytes of a character that may go on."""
        return self._decoder.getstate()[0]
