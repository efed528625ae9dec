"""Reads probes while a text is being written: one matrix product per batch, and work per token only where a
probe's rule holds.

A probe's units are linear in the hidden states, so all that a later token needs of an earlier one is its
projection: the mean of projections is the projection of the mean. That and the token's signals are its
`Trace`, which lives with the token, so that a rewind takes it away and a fork shares it.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from models.language_model import LinearReads
from probes.inputs import PAST
from probes.probe import Probe
from probes.rule import NO_PROJECTION, Projection, Rule, Trace, TracedToken


class ProbeReader:
    """All probes of a checkpoint, ready to be read.

    layers: the hidden states that `project` needs. probes: by name. reads: `units`, for a model that
    reads along.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        # Probes that pool come first, so that what their later readings need is one slice.
        ordered = sorted(probes, key=lambda probe: probe.pooling == "none")
        self.probes: Mapping[str, Probe] = {probe.name: probe for probe in ordered}
        self.layers = tuple(sorted({layer for probe in ordered for layer in probe.layers}))
        self._columns: dict[str, slice] = {}
        units = 0
        for probe in ordered:
            self._columns[probe.name] = slice(units, units + len(probe.bias))
            units += len(probe.bias)
        self._pooled = sum(len(probe.bias) for probe in ordered if probe.pooling == "mean")
        self._weight, self._bias = self._stacked(units)
        self.reads = LinearReads(self.layers, self._weight, self._bias)
        self._plans: dict[tuple[str, ...], ReadingPlan] = {}

    def units(self, hidden: Mapping[int, Tensor], rows: int) -> Tensor:
        """(rows, units) float32 of all probes, before signals are added, from (rows, d) hidden states at
        `layers`, where these are."""
        if not self.layers:
            return self._bias[None].expand(rows, -1)
        states = [hidden[layer] for layer in self.layers]
        inputs = states[0] if len(states) == 1 else torch.cat(states, dim=-1)
        if self._weight.device != inputs.device:
            self._weight, self._bias = self._weight.to(inputs.device), self._bias.to(inputs.device)
        return torch.addmm(self._bias, inputs, self._weight)

    def project(self, hidden: Mapping[int, Tensor], rows: int) -> Projection:
        """`units` on the host."""
        return self.units(hidden, rows).cpu().numpy()

    def plan(self, names: Collection[str]) -> "ReadingPlan":
        """How to read some of the probes; made once for each collection of names."""
        key = tuple(sorted(names))
        if key not in self._plans:
            chosen = [(self.probes[name], self._columns[name]) for name in key]
            self._plans[key] = ReadingPlan(chosen, self._pooled)
        return self._plans[key]

    def _stacked(self, units: int) -> tuple[Tensor, Tensor]:
        """(layers * d, units) weights on hidden states, and (units,) biases; zero where a layer is unused."""
        width = max((probe.width for probe in self.probes.values()), default=0)
        weight = np.zeros((len(self.layers) * width, units), dtype=np.float32)
        bias = np.zeros(units, dtype=np.float32)
        for name, probe in self.probes.items():
            columns = self._columns[name]
            bias[columns] = probe.bias
            for index, layer in enumerate(probe.layers):
                start = self.layers.index(layer) * width
                block = probe.hidden_weight[:, index * width : (index + 1) * width]
                weight[start : start + width, columns] += block.T
        return torch.from_numpy(weight), torch.from_numpy(bias)


class ReadingPlan:
    """Some of the probes of a reader, by where they are read.

    signals: names of the token signals that must be known of every token, `PAST` or none.
    """

    def __init__(self, chosen: Sequence[tuple[Probe, slice]], pooled: int) -> None:
        probes = [probe for probe, _ in chosen]
        self.names = frozenset(probe.name for probe in probes)
        self.signals = PAST if any(probe.signals for probe in probes) else ()
        self._pooled = pooled if any(probe.pooling == "mean" for probe in probes) else 0
        self._rules = [
            Rule(position, [each for each in chosen if each[0].position == position], pooled)
            for position in dict.fromkeys(probe.position for probe in probes)
        ]
        endings = {frozenset(probe.position.closing) for probe in probes}
        self._closing = endings.pop() if len(endings) == 1 else None

    def trace(
        self, written: Sequence[TracedToken], projection: Projection, signals: tuple[float, ...]
    ) -> Trace | None:
        """What is to be kept with the token that comes after `written`.

        Args:
            projection: its row of `ProbeReader.project`.
            signals: `self.signals` at the token.
        """
        if not self._pooled and not self.signals:
            return None
        # A view would keep the whole batch.
        kept = projection[: self._pooled].copy() if self._pooled else NO_PROJECTION
        return Trace(kept, signals, *self._place(written, self._closing or frozenset()))

    def read(
        self,
        written: Sequence[TracedToken],
        token_id: int,
        projection: Projection,
        signals: Sequence[float],
    ) -> dict[str, float]:
        """Calibrated probabilities, by name, of the probes that are read at a token.

        Args:
            written: the completion's tokens before it.
            token_id: the token, or `NO_TOKEN` before it is chosen.
            projection: (units,) a row of `ProbeReader.project`, from the state that predicts the token.
            signals: at least `CURRENT` of the same distribution, if `self.signals` names any.
        """
        scores: dict[str, float] = {}
        for rule in self._rules:
            if rule.may_hold(written, token_id):
                place = self._place(written, rule.closing)
                rule.read(scores, written, *place, token_id, projection, signals)
        return scores

    def _place(self, written: Sequence[TracedToken], closing: frozenset[int]) -> tuple[int, int]:
        """Where the next token's step begins, and how many steps come before it.

        What the token before knows is used, if all rules agree on what closes a step.
        """
        if not written:
            return 0, 0
        last = written[-1]
        if last.trace is None or self._closing is None:
            start = len(written)
            while start and written[start - 1].id not in closing:
                start -= 1
            return start, _count_steps(written[:start], closing)
        if last.id in closing:
            return len(written), last.trace.number + (last.trace.start < len(written) - 1)
        return last.trace.start, last.trace.number


def _count_steps(tokens: Sequence[TracedToken], closing: Collection[int]) -> int:
    """How many of the closing tokens close something."""
    return sum(token.id in closing and before.id not in closing for before, token in pairwise(tokens))
