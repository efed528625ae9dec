"""Reads probes while a text is being written: one matrix product per batch, and work per token only where a
probe's rule holds.

A probe's units are linear in the hidden states, so all that a later token needs of an earlier one is its
projection: the mean of projections is the projection of the mean. That and the token's signals are its
`Trace`, which lives with the token, so that a rewind takes it away and a fork shares it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes.inputs import CURRENT, PAST, signal_features
from probes.position import Position
from probes.probe import Probe

Projection = NDArray[np.float32]

NO_TOKEN = -1
"""Stands for the token that was not chosen yet: rules that depend on it do not hold."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What later tokens of the same step need of a token.

    projection: units of the probes that pool, empty if none does. signals: `PAST`, empty if no probe sees
    any.
    """

    projection: Projection
    signals: tuple[float, ...]


class Traced(Protocol):
    """A token of the completion; one that was not drawn has no trace."""

    @property
    def id(self) -> int: ...

    @property
    def trace(self) -> Trace | None: ...


class ProbeReader:
    """All probes of a checkpoint, ready to be read.

    layers: the hidden states that `project` needs. probes: by name.
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
        self._plans: dict[tuple[str, ...], ReadingPlan] = {}

    def project(self, hidden: Mapping[int, Tensor], rows: int) -> Projection:
        """(rows, units) of all probes from (rows, d) hidden states at `layers`, before signals are added."""
        if not self.layers:
            return self._bias.cpu().numpy()[None].repeat(rows, axis=0)
        states = [hidden[layer] for layer in self.layers]
        inputs = states[0] if len(states) == 1 else torch.cat(states, dim=-1)
        if self._weight.device != inputs.device:
            self._weight, self._bias = self._weight.to(inputs.device), self._bias.to(inputs.device)
        return torch.addmm(self._bias, inputs, self._weight).cpu().numpy()

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
            _Rule(position, [each for each in chosen if each[0].position == position], pooled)
            for position in dict.fromkeys(probe.position for probe in probes)
        ]

    def trace(self, projection: Projection, signals: tuple[float, ...]) -> Trace | None:
        """What is to be kept with a token: its row of `ProbeReader.project`, and its `self.signals`."""
        if not self._pooled and not self.signals:
            return None
        return Trace(projection[: self._pooled].copy(), signals)  # a view would keep the whole batch

    def read(
        self,
        written: Sequence[Traced],
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
                scores |= rule.read(written, token_id, projection, signals)
        return scores


class _Rule:
    """The probes that are read at one position."""

    def __init__(self, position: Position, chosen: Sequence[tuple[Probe, slice]], pooled: int) -> None:
        self._position = position
        self._closing = frozenset(position.closing)
        self._chosen = chosen
        self._pooled = pooled if any(probe.pooling == "mean" for probe, _ in chosen) else 0
        self._sees_signals = any(probe.signals for probe, _ in chosen)
        self._signal_weights = [(columns, probe.signal_weight) for probe, columns in chosen if probe.signals]
        self.may_hold = _quick_test(position)

    def read(
        self, written: Sequence[Traced], token_id: int, projection: Projection, signals: Sequence[float]
    ) -> dict[str, float]:
        start = len(written)
        while start and written[start - 1].id not in self._closing:
            start -= 1
        step = written[start:]
        if not self._position.is_read([token.id for token in step], token_id, not written):
            return {}
        units = self._units(written, step, projection, signals)
        scores: dict[str, float] = {}
        for probe, columns in self._chosen:
            if not probe.tokens:
                logits = probe.logits(units[None, columns])
            elif token_id in probe.tokens:
                logits = units[columns][[probe.tokens.index(token_id)]]
            else:
                continue
            scores[probe.name] = float(probe.calibration(logits)[0])
        return scores

    def _units(
        self,
        written: Sequence[Traced],
        step: Sequence[Traced],
        projection: Projection,
        signals: Sequence[float],
    ) -> NDArray[np.float64]:
        units = projection.astype(np.float64)
        if not (self._pooled or self._sees_signals):
            return units
        past = [token.trace for token in step if token.trace is not None]
        if self._pooled and past:
            own = units[: self._pooled]
            units[: self._pooled] = np.mean([own, *(trace.projection for trace in past)], axis=0)
        if self._sees_signals:
            index = sum(token.id in self._closing for token in written)
            features = signal_features([trace.signals for trace in past], signals[: len(CURRENT)], index)
            for columns, weight in self._signal_weights:
                units[columns] += weight @ features
        return units


def _quick_test(position: Position) -> Callable[[Sequence[Traced], int], bool]:
    """Whether the rule may hold at a token, by a look at a token or two; `Position.is_read` is asked then."""
    closing, ending = frozenset(position.closing), frozenset((*position.closing, *position.markers))
    read = position.read

    def after_enough(written: Sequence[Traced], _: int) -> bool:
        length = len(written)
        return length == read or (length > read and written[length - read - 1].id in closing)

    match position.at:
        case "prompt":
            return lambda written, _: not written
        case "read":
            return after_enough
        case "marker" | "close":
            return lambda _, token_id: token_id in ending
        case "every":
            return lambda _written, _id: True
