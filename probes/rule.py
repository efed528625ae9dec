"""The probes that are read at one position of a text that is being written.

They are read for every text between two forward passes, so in plain numbers where possible: arrays of one
element cost more than all of the arithmetic.
"""

from collections.abc import Callable, Sequence
from math import tanh
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from probes.inputs import CURRENT, signal_features
from probes.position import Position
from probes.probe import Probe

Projection = NDArray[np.float32]

Features = NDArray[np.float64]

NO_PROJECTION: Projection = np.zeros(0, dtype=np.float32)
NO_FEATURES: Features = np.zeros(0)

NO_TOKEN = -1
"""Stands for the token that was not chosen yet: rules that depend on it do not hold."""


class Trace(NamedTuple):
    """What later tokens need of a token.

    projection: units of the probes that pool, empty if none does. signals: `PAST`, empty if no probe sees
    any. start, number: where in the completion the token's step begins, and how many steps come before it.
    """

    projection: Projection
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
    the completion's tokens before it.
    """

    def __init__(self, position: Position, chosen: Sequence[tuple[Probe, slice]], pooled: int) -> None:
        self.closing = frozenset(position.closing)
        self.may_hold = _quick_test(position)
        self._position = position
        self._readers = [
            (probe.name, _logit(probe, columns), _calibrated(probe)) for probe, columns in chosen
        ]
        self._pooled = pooled if any(probe.pooling == "mean" for probe, _ in chosen) else 0
        self._sees_signals = any(probe.signals for probe, _ in chosen)

    def read(
        self,
        scores: dict[str, float],
        written: Sequence[TracedToken],
        start: int,
        number: int,
        token_id: int,
        projection: Projection,
        signals: Sequence[float],
    ) -> None:
        """Add the scores at a token of the step that begins at `start`, after `number` others."""
        before = written[start:]
        if not self._position.is_read([token.id for token in before], token_id, number):
            return
        units, features = projection, NO_FEATURES
        if self._pooled or self._sees_signals:
            past = [token.trace for token in before if token.trace is not None]
            if self._pooled and past:
                units = projection.copy()
                projections = [trace.projection for trace in past]
                units[: self._pooled] = np.mean([units[: self._pooled], *projections], axis=0)
            if self._sees_signals:
                earlier = [trace.signals for trace in past]
                features = signal_features(earlier, signals[: len(CURRENT)], number)
        for name, logit_of, calibrated in self._readers:
            logit = logit_of(units, features, token_id)
            if logit is not None:
                scores[name] = calibrated(logit)


def _quick_test(position: Position) -> Callable[[Sequence[TracedToken], int], bool]:
    """Whether the rule may hold at a token, by a look at a token or two; `Position.is_read` is asked then."""
    closing, ending = frozenset(position.closing), frozenset((*position.closing, *position.markers))
    read = position.read

    def after_enough(written: Sequence[TracedToken], _: int) -> bool:
        length = len(written)
        return length == read or (length > read and written[length - read - 1].id in closing)

    match position.at:
        case "prompt":
            return lambda written, _: all(token.id in closing for token in written)
        case "read":
            return after_enough
        case "marker" | "close":
            return lambda _, token_id: token_id in ending
        case "every":
            return lambda _written, _id: True


Logit = Callable[[Projection, Features, int], float | None]
"""From the projection, the signals' features and the token to a probe's logit; None where it has no unit."""


def _logit(probe: Probe, columns: slice) -> Logit:
    """How to compute a probe's logit. A linear one is not worth a detour by arrays."""
    weight = probe.signal_weight
    if len(probe.out_weight):

        def of_network(units: Projection, features: Features, _: int) -> float:
            own = units[None, columns].astype(np.float64)
            return float(probe.logits(own + weight @ features if probe.signals else own)[0])

        return of_network

    index_of = {token_id: index for index, token_id in enumerate(probe.tokens)}

    def of_unit(units: Projection, features: Features, token_id: int) -> float | None:
        index = index_of.get(token_id) if index_of else 0
        if index is None:
            return None
        logit = float(units[columns.start + index])
        return logit + float(weight[index] @ features) if probe.signals else logit

    return of_unit


def _calibrated(probe: Probe) -> Callable[[float], float]:
    """`Calibration.__call__` for one logit."""
    calibration = probe.calibration
    if calibration.kind == "isotonic":
        at, values = np.array(calibration.knots).T
        return lambda logit: float(np.interp(logit, at, values))
    slope, intercept = 0.5 * calibration.slope, 0.5 * calibration.intercept
    return lambda logit: 0.5 + 0.5 * tanh(slope * logit + intercept)
