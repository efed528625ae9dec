"""From logits to tokens: signals, log-probabilities and alternatives of a whole batch at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.signals import SIGNALS, Distribution
from app.decoding.types import Alternative, Token

_NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True)
class Reading:
    """What is to be read at each token of a request."""

    signals: tuple[str, ...] = ()
    top_logprobs: int = 0


def read_tokens(distribution: Distribution, readings: Sequence[Reading], ids: Sequence[int]) -> list[Token]:
    """The chosen tokens of a batch, each with what its own row asked for.

    `distribution.chosen` holds the same `ids`, which the caller has on the host already. A token
    whose logits were not numbers has log-probability NaN.
    """
    names = _union(readings)
    values = _columns(distribution, names, with_logprob=True)
    alternatives = _alternatives(distribution, [each.top_logprobs for each in readings])
    tokens: list[Token] = []
    for row, (reading, token_id) in enumerate(zip(readings, ids, strict=True)):
        logprob, *read = values[row]
        signals = dict(zip(names, read, strict=True)) if read else _NOTHING
        if reading.signals != names:
            signals = {name: signals[name] for name in reading.signals}
        tokens.append(Token(token_id, logprob, signals, alternatives[row]))
    return tokens


def read_signals(distribution: Distribution, readings: Sequence[Reading]) -> list[dict[str, float]]:
    """Each row's signals before a token is chosen: those that do not depend on it."""
    names = tuple(name for name in _union(readings) if not SIGNALS[name].needs_chosen)
    values = _columns(distribution, names, with_logprob=False)
    return [
        {name: value for name, value in zip(names, row, strict=True) if name in reading.signals}
        for reading, row in zip(readings, values, strict=True)
    ]


def _union(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Every signal that some row wants, in order; usually all rows want the same."""
    first = readings[0].signals
    if all(each.signals == first for each in readings):
        return first
    return tuple(dict.fromkeys(name for each in readings for name in each.signals))


def _columns(distribution: Distribution, names: tuple[str, ...], with_logprob: bool) -> list[list[float]]:
    """Signal values by row, after the chosen token's log-probability. One transfer for them all."""
    columns = [SIGNALS[name].compute(distribution) for name in names]
    if with_logprob:
        columns.insert(0, distribution.chosen_log_probs)
    if not columns:
        return [[] for _ in range(distribution.logits.shape[0])]
    return torch.stack(columns, dim=-1).tolist()


def _alternatives(distribution: Distribution, counts: Sequence[int]) -> list[tuple[Alternative, ...]]:
    most = min(max(counts), distribution.logits.shape[-1])
    if most == 0:
        return [()] * len(counts)
    top: tuple[Tensor, Tensor] = distribution.log_probs.topk(most, dim=-1)
    logprobs, ids = top[0].tolist(), top[1].tolist()
    return [
        tuple(map(Alternative, ids[row][:count], logprobs[row][:count])) for row, count in enumerate(counts)
    ]
