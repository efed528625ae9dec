"""Probes on hidden states and signals together, by stacking (Wolpert 1992).

The hidden states get a probe of their own, which may learn from mistakes that were forced on the model; the
signals join in a second fit, on the model's own steps only, where their surprisal means something. The second
fit sees logits of the first for rows that the first was not fitted on. What comes out is one probe again.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.arrays import Bools, Floats, Ints
from probes.fitting.families import Weights, fit

Combiner = Literal["none", "logistic", "hidden_layer"]
"""How signals join: not at all, by a logistic regression, or by a hidden layer."""


def fit_stacked(
    family: str,
    combiner: Combiner,
    hidden: NDArray[np.floating],
    signals: NDArray[np.floating],
    labels: Bools,
    own: Bools,
    groups: Ints,
) -> Weights:
    """Fit a probe whose inputs are hidden states, then, with a combiner, signals.

    Args:
        family: of the probe on hidden states; one with a hidden layer takes only logistic regression.
        hidden: (n, F); with F = 0 the probe sees signals only. signals: (n, S).
        labels, own, groups: (n,).
    """
    if combiner == "none":
        return fit(family, hidden, labels)
    if hidden.shape[1] == 0:
        return fit(combiner, signals[own], labels[own])
    seen = np.concatenate((_unseen_logits(family, hidden, labels, groups)[own, None], signals[own]), axis=1)
    return _joined(fit(family, hidden, labels), fit(combiner, seen, labels[own]))


def logits(weights: Weights, inputs: NDArray[np.floating]) -> Floats:
    """(n,) logits of (n, F) inputs."""
    units = inputs @ weights.weight.T + weights.bias
    if len(weights.out_weight):
        return np.maximum(units, 0) @ weights.out_weight + weights.out_bias
    return units[:, 0]


def _unseen_logits(family: str, hidden: NDArray[np.floating], labels: Bools, groups: Ints) -> Floats:
    """(n,) logits of each half of the groups by a probe that was fitted on the other half."""
    found = np.zeros(len(labels))
    for half in (groups % 2 == 0, groups % 2 == 1):
        other = fit(family, hidden[~half], labels[~half])
        found[half] = logits(other, hidden[half])
    return found


def _joined(first: Weights, second: Weights) -> Weights:
    """The probe that computes the second on (logit of the first, signals), as one probe on all inputs."""
    scale, on_signals = second.weight[:, :1], second.weight[:, 1:]
    if not len(first.out_weight):
        weight = np.concatenate((scale * first.weight, on_signals), axis=1)
        return Weights(weight, second.bias + scale[:, 0] * first.bias[0], second.out_weight, second.out_bias)
    if len(second.out_weight):
        raise ValueError("a probe with a hidden layer is combined with signals by logistic regression only")
    # The signals have no hidden layer: a pair of units each, one for either sign, hands them on.
    size, count = len(first.bias), on_signals.shape[1]
    hidden_inputs = first.weight.shape[1]
    weight = np.zeros((size + 2 * count, hidden_inputs + count))
    weight[:size, :hidden_inputs] = first.weight
    weight[size : size + count, hidden_inputs:] = np.eye(count)
    weight[size + count :, hidden_inputs:] = -np.eye(count)
    out_weight = np.concatenate((scale[0, 0] * first.out_weight, on_signals[0], -on_signals[0]))
    bias = np.concatenate((first.bias, np.zeros(2 * count)))
    return Weights(weight, bias, out_weight, float(second.bias[0] + scale[0, 0] * first.out_bias))
