"""Probes as the library reads them: packed once, and the arrays of `demur_probe` and `demur_step`."""

import ctypes
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.native.library import PackedProbe, TextStep, load_library
from models.step_probes import StepProbe, StepSoFar

_AT = ("prompt", "read", "marker", "close", "every")


class NativeProbes:
    """Packed for a network. address: of them. count: how many."""

    def __init__(self, network: int, probes: Sequence[StepProbe], layers: int) -> None:
        held = [_Arrays(probe) for probe in probes]
        library = load_library()
        packed = (PackedProbe * len(held))(*(each.packed for each in held))
        self.count = len(held)
        self.address: int = library.demur_probes_new(network, ctypes.addressof(packed), len(held), layers)
        if not self.address:
            raise MemoryError("there is no memory for the probes")
        # Not when Python ends: a thread may be in a pass still.
        weakref.finalize(self, library.demur_probes_delete, self.address).atexit = False


class _Arrays:
    """A probe's numbers, for as long as it takes to pack them."""

    def __init__(self, probe: StepProbe) -> None:
        self._held: list[NDArray[np.generic]] = []
        knots = np.array(probe.knots, dtype=np.float64).reshape(-1, 2)
        self.packed = PackedProbe(
            _AT.index(probe.at),
            probe.read,
            probe.pooled,
            len(probe.bias),
            len(probe.closing),
            len(probe.markers),
            len(probe.layers),
            len(probe.tokens),
            len(knots),
            self._hold(np.array(probe.closing, dtype=np.int64)),
            self._hold(np.array(probe.markers, dtype=np.int64)),
            self._hold(np.array(probe.layers, dtype=np.int32)),
            self._hold(np.ascontiguousarray(probe.weight, dtype=np.float32)),
            self._hold(np.ascontiguousarray(probe.bias, dtype=np.float64)),
            self._optional(probe.signal_weight),
            self._optional(probe.out_weight),
            self._hold(np.array(probe.tokens, dtype=np.int64)),
            self._hold(knots[:, 0].copy()),
            self._hold(knots[:, 1].copy()),
            probe.out_bias,
            probe.slope,
            probe.intercept,
        )

    def _hold(self, array: NDArray[np.generic]) -> int:
        self._held.append(array)
        return array.ctypes.data

    def _optional(self, array: NDArray[np.float64] | None) -> int | None:
        return None if array is None else self._hold(np.ascontiguousarray(array, dtype=np.float64))


class StepsSoFar:
    """The steps of R texts, None of one that wants no probe. address: of them, which live as long as this."""

    def __init__(self, steps: Sequence[StepSoFar | None]) -> None:
        self._held: list[NDArray[np.generic]] = []
        self._steps = (TextStep * len(steps))(*map(self._text_step, steps))
        self.address = ctypes.addressof(self._steps)

    def _text_step(self, step: StepSoFar | None) -> TextStep:
        if step is None:
            return TextStep()
        arrays = (
            np.array(step.token_ids, dtype=np.int64),
            np.array(step.signals, dtype=np.float64),
            np.ascontiguousarray(step.states),
            np.ascontiguousarray(step.wanted),
        )
        self._held += arrays
        return TextStep(len(step.token_ids), step.number, *(array.ctypes.data for array in arrays))
