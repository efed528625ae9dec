"""What a strategy's coroutine hands to the engine when it awaits."""

from collections.abc import Callable, Generator, Mapping
from typing import Any

from app.decoding.core.gather import Gather
from app.decoding.core.text import Text
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams

SamplingPolicy = Callable[[Mapping[str, float]], SamplingParams]
"""Chooses a row's sampling chain after its signals are known and before its token is drawn."""


class NextToken:
    """Asks the engine for one token of a sequence, or for up to `most` where it can write several at a time.
    All of them are in the sequence when it answers, which it does with the last one."""

    __slots__ = ("most", "sampling", "sequence")

    def __init__(self, sequence: Text, sampling: SamplingParams | SamplingPolicy, most: int = 1) -> None:
        self.sequence = sequence
        self.sampling = sampling
        self.most = most

    def __await__(self) -> Generator["NextToken", Token, Token]:
        token = yield self
        return token


class ForcedToken:
    """Asks the engine to read a token of the strategy's own choice, as if it had been drawn."""

    __slots__ = ("sequence", "token_id")

    def __init__(self, sequence: Text, token_id: int) -> None:
        self.sequence = sequence
        self.token_id = token_id

    def __await__(self) -> Generator["ForcedToken", Token, Token]:
        token = yield self
        return token


class Candidates:
    """Asks the engine for the `count` likeliest next tokens of a sequence; nothing is drawn."""

    __slots__ = ("count", "sampling", "sequence")

    def __init__(self, sequence: Text, count: int, sampling: SamplingParams) -> None:
        self.sequence = sequence
        self.count = count
        self.sampling = sampling

    def __await__(self) -> Generator["Candidates", tuple[Token, ...], tuple[Token, ...]]:
        tokens = yield self
        return tokens


TokenCommand = NextToken | ForcedToken | Candidates
"""Takes one row of a forward pass."""

Command = TokenCommand | Gather[Any]
