"""Probes for a model that reads them itself while it writes; it computes what `probes.rule` does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.step_probes import StepProbe, StepSoFar
from probes.inputs import PAST
from probes.probe import Probe
from probes.reader import ProbeReader, ReadingPlan
from probes.rule import TracedToken

_NO_SIGNALS = (0.0,) * len(PAST)


class ProbesOfSteps:
    """A reader's probes, which agree on what closes a step. probes: for a model, in the order of `names`."""

    def __init__(self, reader: ProbeReader) -> None:
        self.names = tuple(reader.probes)
        self.probes = [_step_probe(probe, reader.layers) for probe in reader.probes.values()]
        self._layers = len(reader.layers)
        self._width = max((probe.width for probe in reader.probes.values()), default=0)

    def step_so_far(self, plan: ReadingPlan, written: Sequence[TracedToken]) -> StepSoFar:
        """Of a text whose tokens have the traces that the plan needs."""
        start, number = plan.place(written)
        step = written[start:]
        states = np.zeros((self._layers, self._width), dtype=np.float32)
        signals: list[tuple[float, ...]] = []
        for token in step:
            trace = token.trace
            signals.append(trace.signals if trace is not None and trace.signals else _NO_SIGNALS)
            if trace is not None and trace.states is not None:
                states += trace.states
        return StepSoFar(number, [token.id for token in step], signals, states, self._wanted(plan))

    def _wanted(self, plan: ReadingPlan) -> NDArray[np.uint8]:
        return np.array([name in plan.names for name in self.names], dtype=np.uint8)


def probes_of_steps(reader: ProbeReader) -> ProbesOfSteps | None:
    """None where there are no probes, or they do not agree on what closes a step."""
    closings = {frozenset(probe.position.closing) for probe in reader.probes.values()}
    return ProbesOfSteps(reader) if len(closings) == 1 else None


def _step_probe(probe: Probe, layers: Sequence[int]) -> StepProbe:
    position, calibration = probe.position, probe.calibration
    return StepProbe(
        position.at,
        position.read,
        position.closing,
        position.markers,
        probe.pooling == "mean",
        [layers.index(layer) for layer in probe.layers],
        probe.hidden_weight.astype(np.float32),
        probe.bias,
        probe.signal_weight if probe.signals else None,
        probe.out_weight if len(probe.out_weight) else None,
        probe.out_bias,
        probe.tokens,
        calibration.knots if calibration.kind == "isotonic" else (),
        calibration.slope,
        calibration.intercept,
    )
