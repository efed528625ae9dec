"""Reading a given text: the tokens as they would have been read, had the model written them.

A text is read piece by piece over keys and values of its own, like a long prompt: nobody who is being written
to waits for more than a piece.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import torch

from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.engine.failures import broken_logits
from app.engine.reading import Reading, read_tokens
from app.engine.turns import PrefillPace, Turn
from app.engine.types import Counters
from models.language_model import KVCache, LanguageModel, PrefillRow

MOST_POSITIONS = 256
"""Of one piece, however fast the machine is: each has logits over the whole vocabulary."""


@dataclass(eq=False)
class GivenText:
    """A text that is to be read, and how far that has come.

    tokens: those read so far, from the second on: nothing predicts the first.
    cache: keys and values of what was read, while it is being read.
    """

    token_ids: tuple[int, ...]
    reading: Reading
    tokens: list[Token] = field(default_factory=list[Token])
    cache: KVCache | None = None

    @property
    def is_read(self) -> bool:
        """Nothing is left to be read."""
        return len(self.tokens) >= len(self.token_ids) - 1


@dataclass(frozen=True, eq=False)
class ScoreJob:
    """A text to be scored, and where its tokens go."""

    given: GivenText
    result: "Future[list[Token]]"

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.result.done()

    def end(self) -> None:
        """Hand over the tokens, unless nobody waits for them any more."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_result(self.given.tokens)


class Scorer:
    """Reads texts, and counts what it has read."""

    def __init__(self, model: LanguageModel[Any], counters: Counters, max_positions: int) -> None:
        self._model = model
        self._counters = counters
        self._pace = PrefillPace(min(max_positions, MOST_POSITIONS))

    def read_on(self, text: GivenText, turn: Turn) -> None:
        """Read the next piece of a text: each token from the logits before it (teacher forcing).

        Probes are left out: they are read while a completion is written.

        Raises:
            ModelFailureError: the logits are not all numbers.
        """
        if not text.is_read:
            began = perf_counter()
            read = self._read_piece(text, self._pace.portion(turn, 0, 0).piece)
            self._pace.taken(read, perf_counter() - began)
        if text.is_read:
            text.cache = None
            self._counters.scored_tokens += len(text.token_ids)

    def _read_piece(self, text: GivenText, most: int) -> int:
        """How many positions were run through the model."""
        ids, start = text.token_ids, len(text.tokens)
        end = min(start + most, len(ids) - 1)
        if text.cache is None:
            text.cache = self._model.new_cache(1, len(ids) - 1)
        logits = self._model.extend(text.cache, PrefillRow(0, start, ids[start:end])).logits
        chosen = torch.tensor(ids[start + 1 : end + 1], device=logits.device)
        given = replace(text.reading, probes=None)
        tokens = read_tokens(Distribution(logits, chosen), [given] * len(chosen), chosen)
        if broken := broken_logits(tuple(tokens)):
            raise broken
        text.tokens += tokens
        return end - start


def fail(result: "Future[list[Token]]", error: Exception) -> None:
    """End a score with an error, unless it has ended already or nobody waits for it any more."""
    if not result.done() and (result.running() or result.set_running_or_notify_cancel()):
        result.set_exception(error)
