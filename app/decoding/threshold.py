"""The entropy above which the likeliest token is more often wrong than right (AdaDec, He et al., 2025)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.decoding.calibration import LearnedThreshold

_ITERATIONS = 200
_TOLERANCE = 1e-10
# Keeps the maximum finite where entropy separates right from wrong without a mistake.
_RIDGE = 1e-6

Array = npt.NDArray[np.float64]


def learn_threshold(entropies: Sequence[float], wrong: Sequence[bool]) -> LearnedThreshold:
    """Fit P(wrong | H) by logistic regression and find where it is one half; see `LearnedThreshold`.

    entropies: in nats, one per token, at least one.
    wrong: whether the likeliest token was another than the reference's.
    """
    count, tokens = sum(wrong), len(wrong)
    if count in (0, tokens):
        return LearnedThreshold(wrong=count, tokens=tokens)
    intercept, slope = fit_logistic(np.asarray(entropies, np.float64), np.asarray(wrong, np.float64))
    threshold = max(0.0, -intercept / slope) if slope > 0 else None
    return LearnedThreshold(threshold=threshold, intercept=intercept, slope=slope, wrong=count, tokens=tokens)


def fit_logistic(inputs: Array, labels: Array) -> tuple[float, float]:
    """Intercept and slope of the likeliest logistic regression, by Newton's method with halved steps.

    inputs, labels: (N,), labels 0 or 1.
    """
    design = np.stack([np.ones_like(inputs), inputs], axis=1)
    weights = np.zeros(2)
    loss = _loss(design, labels, weights)
    for _ in range(_ITERATIONS):
        probabilities = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (probabilities - labels) + _RIDGE * weights
        curvature = design.T @ (design * (probabilities * (1 - probabilities))[:, None])
        step = np.linalg.solve(curvature + _RIDGE * np.eye(2), gradient)
        while (after := _loss(design, labels, weights - step)) > loss and float(
            np.abs(step).max()
        ) > _TOLERANCE:
            step = step / 2
        weights, loss = weights - step, after
        if float(np.abs(step).max()) <= _TOLERANCE:
            break
    return float(weights[0]), float(weights[1])


def _loss(design: Array, labels: Array, weights: Array) -> float:
    """Negative log-likelihood, with the ridge."""
    scores = design @ weights
    likelihood = np.logaddexp(0, scores).sum() - (labels * scores).sum()
    return float(likelihood + _RIDGE / 2 * (weights @ weights))
