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
from numpy.typing import NDArray
from torch import Tensor

from app.decoding.core.commands import TokenCommand
from app.decoding.core.signals import PROBE_PREFIX, SIGNALS, Distribution, read_signal
from app.decoding.core.types import Alternative, Token
from models.language_model import MEASURES, StepOutput
from probes.inputs import CURRENT, PAST
from probes.reader import ProbeReader, ReadingPlan
from probes.rule import NO_TOKEN, TokenStates, Trace, TracedToken

_NOTHING: Mapping[str, float] = {}

COLUMNS: Mapping[str, int] = {name: column for column, name in enumerate((*MEASURES, "surprisal"))}
"""Where the measures of a pass that measures are, and what follows from the token that came."""

PAST_COLUMNS = [COLUMNS[name] for name in PAST]


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

    @cached_property
    def is_measured(self) -> bool:
        """Whether a pass that measures finds out all of it."""
        return not self.top_logprobs and all(name in COLUMNS for name in self.computed)


def reading_of(names: Sequence[str], top_logprobs: int, reader: ProbeReader) -> Reading:
    """What is to be read where these signals, probes among them, are asked for."""
    signals = tuple(dict.fromkeys(name for name in names if not name.startswith(PROBE_PREFIX)))
    probes = {name.removeprefix(PROBE_PREFIX) for name in names if name.startswith(PROBE_PREFIX)}
    return Reading(signals, top_logprobs, reader.plan(probes) if probes else None)


class Probing:
    """The probes that the rows of a batch ask for.

    states: (R, L * D) at the layers that the reader needs, where the model left them. host: (R, L, D), once
    they are on the host.
    """

    def __init__(self, reader: ProbeReader, found: StepOutput, requests: Sequence[TokenCommand]) -> None:
        self._requests = requests
        self._layers = max(1, len(reader.layers))
        rows = [found.hidden[layer] for layer in reader.layers]
        self.states = torch.cat(rows, dim=-1) if rows else found.logits[:, :0]
        self.host: NDArray[np.float32] | None = None

    def arrive(self, states: NDArray[np.float32]) -> None:
        """`states` are on the host."""
        self.host = states.reshape(len(states), self._layers, -1)

    def before_choice(self, row: int, plan: ReadingPlan, signals: Mapping[str, float]) -> dict[str, float]:
        """Scores that do not depend on the token to be drawn, by signal name."""
        if self.host is None:
            self.arrive(self.states.cpu().numpy())
        assert self.host is not None
        written = self._requests[row].sequence.tokens
        current = [signals[name] for name in CURRENT] if plan.signals else ()
        return _named(plan.read(written, NO_TOKEN, self.host[row], current))

    def at(
        self, row: int, plan: ReadingPlan, token_id: int, signals: Mapping[str, float]
    ) -> tuple[Mapping[str, float], Trace | None]:
        """`read_probes` at the chosen token. signals: values of `plan.signals`, and of others maybe."""
        assert self.host is not None, "they come with the tokens"
        needed = tuple([signals[name] for name in plan.signals])
        return read_probes(plan, self._requests[row].sequence.tokens, token_id, self.host[row], needed)


def read_probes(
    plan: ReadingPlan,
    written: Sequence[TracedToken],
    token_id: int,
    states: TokenStates,
    needed: tuple[float, ...],
) -> tuple[Mapping[str, float], Trace | None]:
    """Scores at a token that comes after `written`, by signal name, and what later tokens will need of it.

    Args:
        states: (L, D) of the model as it predicted the token.
        needed: values of `plan.signals`.
    """
    scores = plan.read(written, token_id, states, needed)
    return _named(scores) if scores else _NOTHING, plan.trace(written, states, needed)


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
    if probing is not None and probing.host is None:
        columns.append(probing.states.view(torch.int32))
    packed = torch.cat(columns, dim=-1).cpu().numpy()
    numbers = packed.view(np.float32)
    first = 1 + len(floats)
    values = numbers[:, 1:first].tolist()
    if probing is not None and probing.host is None:
        probing.arrive(numbers[:, first + 2 * most :])
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
