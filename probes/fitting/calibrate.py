"""From logits to probabilities and thresholds, on the calibration part only."""

from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from probes.arrays import Bools, Floats, Ints
from probes.probe import Calibration

MARGIN = 0.01
"""Isotonic regression is taken where it lowers the Brier score by more than this share."""
KNOT_DISTANCE = 0.05
"""Of logits, between two knots of an isotonic calibration."""

_CERTAIN = 1e-4
"""No probability is nearer to 0 or 1: no calibration part is large enough to tell."""


def platt(logits: Floats, labels: Bools) -> Calibration:
    """Logistic regression on the logit alone (Platt 1999), without a penalty to speak of."""
    model = LogisticRegression(C=1e6).fit(logits[:, None], labels)
    return Calibration("platt", slope=float(model.coef_[0, 0]), intercept=float(model.intercept_[0]))


def isotonic(logits: Floats, labels: Bools) -> Calibration:
    """The best rising function of the logit (Zadrozny and Elkan 2002), at its knots."""
    model = IsotonicRegression(y_min=_CERTAIN, y_max=1 - _CERTAIN, out_of_bounds="clip").fit(logits, labels)
    knots = list(zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True))
    return Calibration("isotonic", knots=tuple(_spread(knots)))


def _spread(knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Knots at some distance from each other: a jump between two logits that differ in their last bits would
    give another probability on another machine."""
    kept = knots[:1]
    for knot in knots[1:]:
        if knot[0] - kept[-1][0] >= KNOT_DISTANCE:
            kept.append(knot)
    return kept


def calibrate(logits: Floats, labels: Bools, groups: Ints) -> Calibration:
    """Platt's calibration, or the isotonic one where that is clearly better on groups it was not fitted on.

    Args:
        logits, labels, groups: (n,) of the calibration part, with labels of both kinds.
    """
    half = groups % 2 == 0
    losses: dict[str, float] = {}
    for name, method in (("platt", platt), ("isotonic", isotonic)):
        total = 0.0
        for rows in (half, ~half):
            if labels[rows].all() or not labels[rows].any() or rows.all():
                return platt(logits, labels)
            total += float(((method(logits[rows], labels[rows])(logits[~rows]) - labels[~rows]) ** 2).sum())
        losses[name] = total
    better = losses["isotonic"] < (1 - MARGIN) * losses["platt"]
    return (isotonic if better else platt)(logits, labels)
