"""When a text ends: end token, stop token, stop string, length. Depends on its tokens alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.decoding.core.span import SequenceSpec
from app.decoding.core.types import FinishReason, Token


@dataclass(frozen=True)
class Finish:
    """How a sequence ended.

    cut: number of bytes at the end of its text from the stop string on.
    ended_by_token: its last token is an end or stop token, which is a token of the answer but no text.
    """

    reason: FinishReason
    stop_reason: str | int | None = None
    cut: int = 0
    ended_by_token: bool = False


def find_ending(spec: SequenceSpec, tokens: Sequence[Token], max_length: int) -> Finish | None:
    """How the last of `tokens` ends the text, if it does. A stop on the last possible token is a stop."""
    token_id = tokens[-1].id
    if token_id in spec.end_token_ids and not spec.stopping.ignore_eos:
        return Finish("stop", ended_by_token=True)
    if token_id in spec.stopping.stop_token_ids:
        return Finish("stop", token_id, ended_by_token=True)
    if spec.stopping.stop and (found := _find_stop_string(spec, tokens)) is not None:
        return found
    return Finish("length") if len(tokens) >= max_length else None


def _find_stop_string(spec: SequenceSpec, tokens: Sequence[Token]) -> Finish | None:
    """The stop string that the last token completed; of several, the one that begins first."""
    stops = [(text, text.encode()) for text in spec.stopping.stop]
    new = len(spec.vocabulary[tokens[-1].id])
    enough = new + max(len(stop) for _, stop in stops) - 1
    tail = b""
    for token in reversed(tokens):
        tail = spec.vocabulary[token.id] + tail
        if len(tail) >= enough:
            break
    # UTF-8 is self-synchronising, so a match of bytes is a match of characters. A match that does
    # not reach into the last token would have been found before.
    found = [
        (start, text)
        for text, stop in stops
        if (start := tail.find(stop, max(0, len(tail) - new - len(stop) + 1))) >= 0
    ]
    if not found:
        return None
    start, text = min(found)
    return Finish("stop", text, cut=len(tail) - start)
