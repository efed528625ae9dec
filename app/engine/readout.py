"""From logits to tokens: signals, log-probabilities and alternatives of a whole batch at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan

import torch
from torch import Tensor

from app.decoding.core.signals import PROBE_PREFIX, SIGNALS, Distribution
from app.decoding.core.types import Alternative, Token
from app.engine.probing import Probing
from probes.reader import ProbeReader, ReadingPlan

_NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True)
class Reading:
    """What is to be read at each token of a request.

    signals: those that its tokens show. probes: those that they show where they are read.
    """

    signals: tuple[str, ...] = ()
    top_logprobs: int = 0
    probes: ReadingPlan | None = None

    @cached_property
    def computed(self) -> tuple[str, ...]:
        """The signals that have to be known: those that are shown, and those that the probes see."""
        unseen = () if self.probes is None else self.probes.signals
        return tuple(dict.fromkeys((*self.signals, *unseen)))


def reading_of(names: Sequence[str], top_logprobs: int, reader: ProbeReader) -> Reading:
    """What is to be read where these signals, probes among them, are asked for."""
    signals = tuple(dict.fromkeys(name for name in names if not name.startswith(PROBE_PREFIX)))
    probes = {name.removeprefix(PROBE_PREFIX) for name in names if name.startswith(PROBE_PREFIX)}
    return Reading(signals, top_logprobs, reader.plan(probes) if probes else None)


def read_tokens(
    distribution: Distribution,
    readings: Sequence[Reading],
    ids: Sequence[int],
    probing: Probing | None = None,
) -> list[Token]:
    """The chosen tokens of a batch, each with what its own row asked for.

    `distribution.chosen` holds the same `ids`, which the caller has on the host already. A token whose
    logits were not all numbers below infinity has log-probability NaN.
    """
    names = _union(readings)
    values = _columns(distribution, names, with_logprob=True)
    alternatives = _alternatives(distribution, [each.top_logprobs for each in readings])
    tokens: list[Token] = []
    for row, (reading, token_id) in enumerate(zip(readings, ids, strict=True)):
        logprob, *read = values[row]
        # Beside an infinite logit, or NaN, no other has a finite log-probability: only then look at them all.
        if logprob == -inf and bool(distribution.log_probs[row].isnan().any()):
            logprob = nan
        known = dict(zip(names, read, strict=True)) if read else _NOTHING
        signals = known
        if reading.signals != names:
            signals = {name: known[name] for name in reading.signals}
        trace = None
        if reading.probes is not None and probing is not None and logprob == logprob:
            scores, trace = probing.at(row, reading.probes, token_id, known)
            if scores:
                signals = {**signals, **scores}
        tokens.append(Token(token_id, logprob, signals, alternatives[row], trace=trace))
    return tokens


def read_signals(
    distribution: Distribution, readings: Sequence[Reading], probing: Probing | None = None
) -> list[dict[str, float]]:
    """Each row's signals before a token is chosen: those that do not depend on it."""
    names = tuple(name for name in _union(readings) if not SIGNALS[name].needs_chosen)
    values = _columns(distribution, names, with_logprob=False)
    rows: list[dict[str, float]] = []
    for row, reading in enumerate(readings):
        known = dict(zip(names, values[row], strict=True))
        signals = {name: value for name, value in known.items() if name in reading.signals}
        if reading.probes is not None and probing is not None:
            signals |= probing.before_choice(row, reading.probes, known)
        rows.append(signals)
    return rows


def _union(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Every signal that some row wants, in order; usually all rows want the same."""
    first = readings[0].computed
    if all(each.computed == first for each in readings):
        return first
    return tuple(dict.fromkeys(name for each in readings for name in each.computed))


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
