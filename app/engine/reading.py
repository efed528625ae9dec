"""From logits to tokens: what the model thought of the chosen token of every row.

All that the rows ask for is computed where the logits are, put side by side in one tensor of 32 bits a
number, and brought to the host together: a tick waits for the device once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan

import numpy as np
import torch
from torch import Tensor

from app.decoding.core.commands import TokenCommand
from app.decoding.core.signals import PROBE_PREFIX, SIGNALS, Distribution, read_signal
from app.decoding.core.types import Alternative, Token
from models.language_model import StepOutput
from probes.inputs import CURRENT
from probes.reader import ProbeReader, ReadingPlan
from probes.rule import NO_TOKEN, Projection, Trace

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


class Probing:
    """The probes that the rows of a batch ask for.

    found: by the forward pass for the rows: the states at the layers that the reader needs, or its units.
    units: (R, U) of all probes, where the states are. projection: the same on the host, once it is there.
    """

    def __init__(self, reader: ProbeReader, found: StepOutput, requests: Sequence[TokenCommand]) -> None:
        self._requests = requests
        self.units = reader.units(found.hidden, len(requests)) if found.reads is None else found.reads
        self.projection: Projection | None = None

    def before_choice(self, row: int, plan: ReadingPlan, signals: Mapping[str, float]) -> dict[str, float]:
        """Scores that do not depend on the token to be drawn, by signal name."""
        if self.projection is None:
            self.projection = self.units.cpu().numpy()
        written = self._requests[row].sequence.tokens
        current = [signals[name] for name in CURRENT] if plan.signals else ()
        return _named(plan.read(written, NO_TOKEN, self.projection[row], current))

    def at(
        self, row: int, plan: ReadingPlan, token_id: int, signals: Mapping[str, float]
    ) -> tuple[dict[str, float], Trace | None]:
        """Scores at the chosen token, by signal name, and what later tokens will need of it.

        signals: values of `plan.signals`, and of others maybe.
        """
        assert self.projection is not None, "it comes with the tokens"
        written = self._requests[row].sequence.tokens
        projection = self.projection[row]
        needed = tuple([signals[name] for name in plan.signals])
        scores = plan.read(written, token_id, projection, needed)
        return _named(scores) if scores else scores, plan.trace(written, projection, needed)


def probing_of(
    reader: ProbeReader,
    found: StepOutput,
    requests: Sequence[TokenCommand],
    readings: Sequence[Reading],
) -> Probing | None:
    """The probes of a batch; None where no row asks for any."""
    for reading in readings:
        if reading.probes is not None:
            return Probing(reader, found, requests)
    return None


def read_tokens(
    distribution: Distribution,
    readings: Sequence[Reading],
    ids: Tensor,
    probing: Probing | None = None,
    *,
    forced: bool = False,
    adjusted: Tensor | None = None,
) -> list[Token]:
    """The chosen tokens of a batch, each with what its own row asked for.

    A token whose logits were not all numbers below infinity has log-probability NaN.

    Args:
        ids: (R,) of the tokens; `distribution.chosen` holds the same, but for such as are none.
        forced: strategies put them there.
        adjusted: (R,) float32, their log-probabilities after penalties and bias, if they are candidates.
    """
    names, most = _asked(readings)
    most = min(most, distribution.logits.shape[-1])
    floats = [distribution.chosen_log_probs]
    for name in names:
        floats.append(read_signal(name, distribution))
    if adjusted is not None:
        floats.append(adjusted)
    columns = [ids.to(torch.int32).unsqueeze(-1), torch.stack(floats, dim=-1).view(torch.int32)]
    if most:
        top = distribution.log_probs.topk(most, dim=-1)
        columns += [top.values.view(torch.int32), top.indices.to(torch.int32)]
    if probing is not None and probing.projection is None:
        columns.append(probing.units.view(torch.int32))
    packed = torch.cat(columns, dim=-1).cpu().numpy()
    numbers = packed.view(np.float32)
    first = 1 + len(floats)
    values = numbers[:, 1:first].tolist()
    if probing is not None and probing.projection is None:
        probing.projection = numbers[:, first + 2 * most :]
    top_values, top_ids = [], []
    if most:
        top_values = numbers[:, first : first + most].tolist()
        top_ids = packed[:, first + most : first + 2 * most].tolist()
    tokens: list[Token] = []
    for row, (reading, token_id) in enumerate(zip(readings, packed[:, 0].tolist(), strict=True)):
        logprob, *read = values[row]
        # Beside an infinite logit, or NaN, no other has a finite log-probability: only then look at them all.
        if logprob == -inf and distribution.log_probs[row].isnan().any():
            logprob = nan
        known = dict(zip(names, read, strict=False)) if names else _NOTHING
        signals = known
        if reading.signals != names:
            signals = {name: known[name] for name in reading.signals}
        alternatives = ()
        if count := reading.top_logprobs:
            alternatives = tuple(map(Alternative, top_ids[row][:count], top_values[row][:count]))
        trace = None
        if reading.probes is not None and probing is not None and logprob == logprob:
            scores, trace = probing.at(row, reading.probes, token_id, known)
            if scores:
                signals = {**signals, **scores}
        after = None if adjusted is None else read[-1]
        tokens.append(Token(token_id, logprob, signals, alternatives, forced, after, trace))
    return tokens


def read_signals(
    distribution: Distribution, readings: Sequence[Reading], probing: Probing | None = None
) -> list[dict[str, float]]:
    """Each row's signals before a token is chosen: those that do not depend on it."""
    names = tuple(name for name in _asked(readings)[0] if not SIGNALS[name].needs_chosen)
    values: list[list[float]] = [[] for _ in readings]
    if names:
        values = torch.stack([read_signal(name, distribution) for name in names], dim=-1).tolist()
    rows: list[dict[str, float]] = []
    for row, reading in enumerate(readings):
        known = dict(zip(names, values[row], strict=True))
        signals = {name: value for name, value in known.items() if name in reading.signals}
        if reading.probes is not None and probing is not None:
            signals |= probing.before_choice(row, reading.probes, known)
        rows.append(signals)
    return rows


def _asked(readings: Sequence[Reading]) -> tuple[tuple[str, ...], int]:
    """Every signal that some row wants, in order, and the most alternatives that one does."""
    names, most, last = readings[0].computed, 0, None
    for each in readings:
        if each is last:
            continue
        last = each
        most = max(most, each.top_logprobs)
        if each.computed != names:
            names = tuple(dict.fromkeys((*names, *each.computed)))
    return names, most


def _named(scores: Mapping[str, float]) -> dict[str, float]:
    return {PROBE_PREFIX + name: score for name, score in scores.items()}
