"""Families of probes, each a function from inputs and labels to weights; simplest first.

Inputs are normalised for fitting, and the normalisation is folded into the weights that come out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch.nn import functional as F

from probes.arrays import Bools, Floats

INVERSE_PENALTY = 0.02
"""scikit-learn's `C`: with tens of thousands of rows and hundreds of inputs, a mild ridge."""
NOISE = 1e-5
"""Below this share of the largest standard deviation, an input's own is taken for rounding errors."""

COMPONENTS = 8
"""Directions of `low_rank`."""

HIDDEN_UNITS, BATCH, EPOCHS, MIN_STEPS = 32, 512, 12, 1500
LEARNING_RATE, WEIGHT_DECAY, INPUT_DROPOUT = 3e-3, 0.1, 0.1
"""Of `hidden_layer`."""


@dataclass(frozen=True)
class Weights:
    """logit = weight @ inputs + bias, or out_weight @ relu(weight @ inputs + bias) + out_bias.

    weight is (units, inputs), bias (units,), out_weight (units,) or empty.
    """

    weight: Floats
    bias: Floats
    out_weight: Floats = field(default_factory=lambda: np.zeros(0))
    out_bias: float = 0.0


def difference_of_means(inputs: Floats, labels: Bools) -> Weights:
    """The direction from the mean of one class to that of the other, in units of the standard deviation
    (Marks and Tegmark 2023, arXiv 2310.06824)."""
    scaled, center, scale = _normalised(inputs)
    positive, negative = scaled[labels].mean(axis=0), scaled[~labels].mean(axis=0)
    direction = positive - negative
    return _linear(direction, -float(direction @ (positive + negative)) / 2, center, scale)


def logistic(inputs: Floats, labels: Bools) -> Weights:
    """Logistic regression with a ridge penalty."""
    scaled, center, scale = _normalised(inputs)
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=300, tol=1e-3).fit(scaled, labels)
    return _linear(model.coef_[0], float(model.intercept_[0]), center, scale)


def low_rank(inputs: Floats, labels: Bools) -> Weights:
    """Logistic regression on a few directions found by partial least squares: a matrix of low rank over all
    the inputs, of several layers in most cases."""
    scaled, center, scale = _normalised(inputs)
    directions: Floats = (
        PLSRegression(min(COMPONENTS, scaled.shape[1]), scale=False).fit(scaled, labels).x_rotations_
    )
    model = LogisticRegression(max_iter=300).fit(scaled @ directions, labels)
    return _linear(directions @ model.coef_[0], float(model.intercept_[0]), center, scale)


def hidden_layer(inputs: Floats, labels: Bools) -> Weights:
    """A network with one hidden layer of ReLU units, trained by AdamW with a cosine schedule."""
    scaled, center, scale = _normalised(inputs)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.from_numpy(scaled).float(), torch.from_numpy(labels).float()
    size = x.shape[1]
    first = (torch.randn(HIDDEN_UNITS, size, generator=generator) / size**0.5).requires_grad_()
    second = (torch.randn(HIDDEN_UNITS, generator=generator) / HIDDEN_UNITS**0.5).requires_grad_()
    biases = torch.zeros(HIDDEN_UNITS, requires_grad=True), torch.zeros((), requires_grad=True)
    optimiser = torch.optim.AdamW([first, second, *biases], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = max(1, len(x) // BATCH)
    epochs = max(EPOCHS, -(-MIN_STEPS // batches))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).chunk(batches):
            batch = x[rows]
            kept = torch.rand(batch.shape, generator=generator) >= INPUT_DROPOUT
            units = F.linear(batch * kept / (1 - INPUT_DROPOUT), first, biases[0])
            loss = F.binary_cross_entropy_with_logits(units.relu() @ second + biases[1], y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    weight = first.detach().double().numpy() / scale
    bias = biases[0].detach().double().numpy() - weight @ center
    return Weights(weight, bias, second.detach().double().numpy(), biases[1].item())


@dataclass(frozen=True)
class Family:
    """A way of fitting; `complexity` orders them from simple to complex."""

    complexity: int
    fit: Callable[[Floats, Bools], Weights]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "difference_of_means": Family(0, difference_of_means),
        "logistic": Family(1, logistic),
        "low_rank": Family(2, low_rank),
        "hidden_layer": Family(3, hidden_layer),
    }
)


def fit(family: str, inputs: NDArray[np.floating], labels: Bools) -> Weights:
    """Fit a family on (n, F) inputs and (n,) labels; the same on every run, on one thread.

    Where all labels are alike there is nothing to tell apart, and the logit is 0 everywhere.
    """
    if labels.all() or not labels.any():
        return Weights(np.zeros((1, inputs.shape[1])), np.zeros(1))
    with threadpool_limits(1):  # sums over several threads differ in their last bits from run to run
        return FAMILIES[family].fit(inputs.astype(np.float64), labels)


def _normalised(inputs: Floats) -> tuple[Floats, Floats, Floats]:
    center, scale = inputs.mean(axis=0), inputs.std(axis=0)
    # An input that hardly moves beside the others holds rounding errors, which must not be blown up.
    scale = np.maximum(scale, NOISE * max(float(scale.max(initial=0.0)), 1e-8))
    return (inputs - center) / scale, center, scale


def _linear(direction: Floats, intercept: float, center: Floats, scale: Floats) -> Weights:
    weight = (direction / scale)[None]
    return Weights(weight, np.array([intercept]) - weight @ center)
