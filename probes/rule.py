"""The probes that are read at one position of a text that is being written.

They are looked at for every token of every text, so in plain numbers where possible: arrays of one element
cost more than all of the arithmetic.
"""

from collections.abc import Callable, Sequence
from math import tanh
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from probes.inputs import CURRENT, signal_features
from probes.position import Position
from probes.probe import Probe

TokenStates = NDArray[np.float32]
"""(L, D) hidden states of one token, at the layers that a reader needs."""

Features = NDArray[np.float64]

NO_FEATURES: Features = np.zeros(0)

NO_TOKEN = -1
"""Stands for the token that was not chosen yet: rules that depend on it do not hold."""


class Trace(NamedTuple):
    """What later tokens need of a token.

    states: of the model as it predicted the token; None if no probe pools. signals: `PAST`, empty if no probe
    sees any. start, number: where in the completion the token's step begins, and how many steps come before
    it.
    """

    states: TokenStates | None
    signals: tuple[float, ...]
    start: int
    number: int


class TracedToken(Protocol):
    """A token of the completion, with its trace if later ones need any."""

    @property
    def id(self) -> int: ...

    @property
    def trace(self) -> Trace | None: ...


class Rule:
    """The probes that are read at one position.

    closing: tokens that close a step. may_hold: a quick test whether anything may be read at a token, given
    how many of its step's tokens and how many steps come before it.
    """

    def __init__(self, position: Position, probes: Sequence[Probe], layers: Sequence[int]) -> None:
        self.closing = frozenset(position.closing)
        self.may_hold = _quick_test(position)
        self._position = position
        self._readers = [
            (probe.name, probe.pooling == "mean", _logit(probe, layers), _calibrated(probe))
            for probe in probes
        ]
        self._pools = any(probe.pooling == "mean" for probe in probes)
        self._sees_signals = any(probe.signals for probe in probes)

    def read(
        self,
        scores: dict[str, float],
        written: Sequence[TracedToken],
        start: int,
        number: int,
        token_id: int,
        states: TokenStates,
        signals: Sequence[float],
    ) -> None:
        """Add the scores at a token of the step that begins at `start`, after `number` others."""
        before = written[start:]
        if not self._position.is_read([token.id for token in before], token_id, number):
            return
        past = [token.trace for token in before if token.trace is not None]
        pooled = _mean(states, past) if self._pools else states
        features = NO_FEATURES
        if self._sees_signals:
            earlier = [trace.signals for trace in past]
            features = signal_features(earlier, signals[: len(CURRENT)], number)
        for name, pools, logit_of, calibrated in self._readers:
            logit = logit_of(pooled if pools else states, features, token_id)
            if logit is not None:
                scores[name] = calibrated(logit)


def _mean(states: TokenStates, past: Sequence[Trace]) -> TokenStates:
    """Over a token and those of its step before it."""
    total = states.copy()
    for trace in past:
        assert trace.states is not None, "kept where a probe pools"
        total += trace.states
    return np.divide(total, len(past) + 1, out=total)


def _quick_test(position: Position) -> Callable[[int, int, int], bool]:
    """Whether the rule may hold at a token, by how many of its step's tokens were read, how many steps come
    before and the token; `Position.is_read` is asked then."""
    ending, enough = frozenset((*position.closing, *position.markers)), position.read
    match position.at:
        case "prompt":
            return lambda read, number, _id: read == number == 0
        case "read":
            return lambda read, _number, _id: read == enough
        case "marker" | "close":
            return lambda _read, _number, token_id: token_id in ending
        case "every":
            return lambda _read, _number, _id: True


Logit = Callable[[TokenStates, Features, int], float | None]
"""From the states, the signals' features and the token to a probe's logit; None where it has no unit."""


def _logit(probe: Probe, layers: Sequence[int]) -> Logit:
    """How to compute a probe's logit from states at `layers`. Only the unit that is needed is computed."""
    weight = probe.hidden_weight.astype(np.float32)
    signal_weight, bias = probe.signal_weight, probe.bias
    rows = [layers.index(layer) for layer in probe.layers]
    side_by_side = bool(rows) and rows == list(range(rows[0], rows[-1] + 1))
    chosen = slice(rows[0], rows[-1] + 1) if side_by_side else rows

    if len(probe.out_weight):
        blocks = _blocks(weight)

        def of_network(states: TokenStates, features: Features, _: int) -> float:
            units = (blocks @ states[chosen].reshape(-1)).reshape(-1)[: len(bias)] + bias
            if probe.signals:
                units += signal_weight @ features
            return float(probe.logits(units[None])[0])

        return of_network

    index_of = {token_id: index for index, token_id in enumerate(probe.tokens)}

    def of_unit(states: TokenStates, features: Features, token_id: int) -> float | None:
        index = index_of.get(token_id) if index_of else 0
        if index is None:
            return None
        logit = float(weight[index] @ states[chosen].reshape(-1) + bias[index])
        return logit + float(signal_weight[index] @ features) if probe.signals else logit

    return of_unit


def _blocks(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, rows, inputs) of (units, inputs), padded with zeros: blocks so small that a product stays in the
    thread that asks for it. To wait for others would take longer."""
    units, inputs = weight.shape
    rows = min(units, max(1, _ALONE // max(1, inputs)))
    padded = np.zeros((-(-units // rows), rows, inputs), dtype=np.float32)
    padded.reshape(len(padded) * rows, inputs)[:units] = weight
    return padded


_ALONE = 9000
"""Weights of a product that OpenBLAS computes in one thread."""


def _calibrated(probe: Probe) -> Callable[[float], float]:
    """`Calibration.__call__` for one logit."""
    calibration = probe.calibration
    if calibration.kind == "isotonic":
        at, values = np.array(calibration.knots).T
        return lambda logit: float(np.interp(logit, at, values))
    slope, intercept = 0.5 * calibration.slope, 0.5 * calibration.intercept
    return lambda logit: 0.5 + 0.5 * tanh(slope * logit + intercept)
