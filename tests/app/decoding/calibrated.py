"""Calibrations for tests, with chosen thresholds."""

from app.decoding.calibration.calibration import (
    LearnedThreshold,
    Measurement,
    SignalCalibration,
    SignalSummary,
    identity_of,
)
from app.decoding.calibration.doubt import DOUBTS
from app.decoding.calibration.risk import Counts
from app.decoding.calibration.risk_table import RiskCounts, RiskTable
from models.checkpoint import Identity

IDENTITY = Identity(weights="a" * 64, config="b" * 64, tokenizer="c" * 64)


def summary(at_98: float) -> SignalSummary:
    """Quantiles on a straight line through 0 and `at_98`."""
    values = tuple(at_98 * percent / 98 for percent in range(101))
    return SignalSummary(mean=at_98 / 2, variance=at_98 / 4, quantiles=values)


def calibration(
    entropy_98: float = 1.0, varentropy_98: float = 1.0, learned: float | None = 1.0
) -> SignalCalibration:
    """The 98% quantiles of entropy and varentropy, and the learned threshold of adadec."""
    return SignalCalibration(
        checkpoint=identity_of(IDENTITY),
        measurement=Measurement(corpus="igsm", split="validation", problems=5, op_min=1, op_max=2, seed=0),
        tokens=100,
        signals={"entropy": summary(entropy_98), "varentropy": summary(varentropy_98)},
        adadec=LearnedThreshold(threshold=learned, intercept=-1.0, slope=2.0, wrong=3, tokens=100),
    )


# At the first threshold 60 of 200 problems are answered and none wrongly, at the second 150 and 6, at the
# third all and 40.
COUNTS = Counts(200, (60, 150, 200), (0, 6, 40))


def with_risk(measured: SignalCalibration, thresholds: tuple[float, float, float]) -> SignalCalibration:
    """The calibration with `COUNTS` at these thresholds, for every score of doubt."""
    counts = RiskCounts(thresholds=thresholds, tuning=COUNTS, tested=COUNTS)
    table = RiskTable(split="calibration", op_min=1, op_max=6, seed=0, scores=dict.fromkeys(DOUBTS, counts))
    return measured.model_copy(update={"risk": table})
