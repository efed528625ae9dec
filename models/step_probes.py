"""Small networks over hidden states that a model reads itself where it writes several tokens at a time.

`probes/` says what they are for and how they come about; here are their numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StepProbe:
    """A probe, as `probes.probe.Probe` and `probes.position.Position` define its parts.

    layers: places among the states of a token, L of size D. weight: (units, layers * D) float32.
    signal_weight: (units, 38); None if it sees no signals. out_weight: (units,); None if it has no hidden
    layer. tokens: those that have a unit each; empty if there is one logit. knots: of an isotonic
    calibration, logits and probabilities; empty for the sigmoid of slope * logit + intercept.
    """

    at: Literal["prompt", "read", "marker", "close", "every"]
    read: int
    closing: Sequence[int]
    markers: Sequence[int]
    pooled: bool
    layers: Sequence[int]
    weight: NDArray[np.float32]
    bias: NDArray[np.float64]
    signal_weight: NDArray[np.float64] | None
    out_weight: NDArray[np.float64] | None
    out_bias: float
    tokens: Sequence[int]
    knots: Sequence[tuple[float, float]]
    slope: float
    intercept: float


@dataclass(frozen=True, eq=False)
class StepSoFar:
    """The step that a text is in, and which of the probes it wants.

    number: how many steps come before it. token_ids: its tokens. signals: of each, entropy, varentropy,
    highest probability, margin, surprisal. states: (L, D) float32, the sum of theirs. wanted: of each probe,
    0 or 1.
    """

    number: int
    token_ids: Sequence[int]
    signals: Sequence[tuple[float, ...]]
    states: NDArray[np.float32]
    wanted: NDArray[np.uint8]
