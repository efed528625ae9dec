"""A probe: where it reads, what it computes, what its score means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from probes.arrays import Floats
from probes.errors import ProbeFileError
from probes.inputs import FEATURES
from probes.position import Position

Pooling = Literal["none", "mean"]


@dataclass(frozen=True)
class Calibration:
    """From a probe's logit to a probability.

    `platt` (Platt 1999): sigmoid of slope * logit + intercept. `isotonic` (Zadrozny and Elkan 2002): linear
    interpolation between the knots, constant beyond them.
    """

    kind: Literal["platt", "isotonic"] = "platt"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, logits: Floats) -> Floats:
        """Probabilities of the positive class, in the shape of the logits."""
        if self.kind == "platt":
            return _sigmoid(self.slope * logits + self.intercept)
        at, values = np.array(self.knots).T
        return np.interp(logits, at, values)


@dataclass(frozen=True)
class Probe:
    """A small network over hidden states that says how likely something is.

    Inputs are the hidden states at `layers`, one after the other (layer 0 is after the embedding, layer k
    after block k, before the final norm), then, with `signals`, those of `probes.inputs`. Units are weight @
    inputs + bias; the normalisation of the inputs is folded in.

    Attributes:
        pooling: `mean` replaces hidden states by their mean over the tokens of the step so far.
        weight: (units, inputs). bias: (units,).
        out_weight, out_bias: a hidden layer follows: logit = out_weight @ relu(units) + out_bias. Empty for a
            linear probe, whose logit is its only unit.
        tokens: the probe has a unit per token id, and the chosen token says which one is its logit; at other
            tokens it has no score. Empty for all other probes.

    Raises:
        ProbeFileError: shapes that do not fit each other, or values that are not finite.
    """

    name: str
    position: Position
    layers: tuple[int, ...]
    weight: Floats
    bias: Floats
    out_weight: Floats = field(default_factory=lambda: np.zeros(0))
    out_bias: float = 0.0
    signals: bool = False
    pooling: Pooling = "none"
    tokens: tuple[int, ...] = ()
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        units = len(self.bias)
        expected = len(self.out_weight) or len(self.tokens) or 1
        if self.bias.shape != (expected,) or self.weight.ndim != 2 or len(self.weight) != units:
            raise ProbeFileError(
                f"probe {self.name}: weight {self.weight.shape} and bias {self.bias.shape} do not fit "
                f"{expected} units"
            )
        if self.out_weight.ndim != 1 or (len(self.out_weight) and self.tokens):
            raise ProbeFileError(f"probe {self.name}: a unit per token and a hidden layer exclude each other")
        if (self.weight.shape[1] - self.signal_inputs) != self.width * len(self.layers) or self.width < 0:
            raise ProbeFileError(
                f"probe {self.name}: {self.weight.shape[1]} inputs are not {len(self.layers)} hidden states "
                f"and {self.signal_inputs} signals"
            )
        arrays = (self.weight, self.bias, self.out_weight, np.array(self.out_bias))
        if not all(np.isfinite(array).all() for array in arrays):
            raise ProbeFileError(f"probe {self.name} holds NaN or infinity")

    @property
    def signal_inputs(self) -> int:
        """How many of the inputs are signals: the last ones."""
        return len(FEATURES) if self.signals else 0

    @property
    def width(self) -> int:
        """Size of one hidden state; 0 without layers."""
        return (self.weight.shape[1] - self.signal_inputs) // len(self.layers) if self.layers else 0

    @property
    def hidden_weight(self) -> Floats:
        """(units, layers * d) part of the weight that acts on hidden states."""
        return self.weight[:, : self.width * len(self.layers)]

    @property
    def signal_weight(self) -> Floats:
        """(units, signals) part of the weight that acts on signals."""
        return self.weight[:, self.width * len(self.layers) :]

    def logits(self, units: Floats) -> Floats:
        """(n,) logits of (n, units); not for a probe with a unit per token."""
        return np.maximum(units, 0) @ self.out_weight + self.out_bias if len(self.out_weight) else units[:, 0]

    def scores(self, inputs: Floats, token_ids: Sequence[int] = ()) -> Floats:
        """(n,) calibrated probabilities of (n, inputs), hidden states pooled already if they are to be.

        Args:
            token_ids: for a probe with a unit per token, the chosen token of each row.
        """
        units = inputs @ self.weight.T + self.bias
        if not self.tokens:
            return self.calibration(self.logits(units))
        columns = [self.tokens.index(token_id) for token_id in token_ids]
        return self.calibration(units[np.arange(len(units)), columns])


def _sigmoid(x: Floats) -> Floats:
    # By way of tanh, which overflows nowhere.
    return 0.5 * (1 + np.tanh(0.5 * x))
