"""Reading a given text: the tokens as they would have been read, had the model written them."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import torch

from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.engine.failures import broken_logits, model_failure
from app.engine.reading import Reading, read_tokens
from app.engine.types import Counters
from models.language_model import LanguageModel

# Logits are read in pieces of this many positions, so that a long text takes little memory.
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class ScoreJob:
    """A text to be scored, and where the tokens go."""

    token_ids: tuple[int, ...]
    reading: Reading
    result: "Future[list[Token]]"


class Scorer:
    """Scores texts and counts what it reads."""

    def __init__(self, model: LanguageModel[Any], counters: Counters) -> None:
        self._model = model
        self._counters = counters

    def read(self, token_ids: Sequence[int], reading: Reading) -> list[Token]:
        """The text's tokens from the second on."""
        tokens = score_tokens(self._model, token_ids, reading)
        self._counters.scored_tokens += len(token_ids)
        return tokens

    def run(self, job: ScoreJob) -> None:
        """Do the job, unless it was cancelled meanwhile."""
        if not job.result.set_running_or_notify_cancel():
            return
        try:
            job.result.set_result(self.read(job.token_ids, job.reading))
        except Exception as error:
            job.result.set_exception(model_failure(error))


def fail(result: "Future[list[Token]]", error: Exception) -> None:
    """End a score with an error, unless it has ended already or nobody waits for it any more."""
    if not result.done() and (result.running() or result.set_running_or_notify_cancel()):
        result.set_exception(error)


def score_tokens(model: LanguageModel[Any], token_ids: Sequence[int], reading: Reading) -> list[Token]:
    """The tokens from the second on, each read from the logits before it (teacher forcing).

    Probes are left out: they are read while a completion is written.

    Raises:
        ModelFailureError: the logits are not all numbers.
    """
    if len(token_ids) < 2:
        return []
    logits = model.score(token_ids).logits
    given = replace(reading, probes=None)
    tokens: list[Token] = []
    for start in range(0, len(token_ids) - 1, _CHUNK):
        ids = list(token_ids[start + 1 : start + 1 + _CHUNK])
        chosen = torch.tensor(ids, device=logits.device)
        distribution = Distribution(logits[start : start + len(ids)], chosen)
        tokens.extend(read_tokens(distribution, [given] * len(ids), chosen))
    if broken := broken_logits(tuple(tokens)):
        raise broken
    return tokens
