import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from probes.fitting.calibrate import KNOT_DISTANCE, calibrate, isotonic, platt


def drawn(probability: NDArray[np.float64], seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(len(probability)) < probability


LOGITS = np.random.default_rng(1).normal(size=20_000) * 2
GROUPS = np.arange(len(LOGITS)) // 4


def test_platt_finds_slope_and_intercept() -> None:
    found = platt(LOGITS, drawn(expit(1.7 * LOGITS - 0.6)))
    assert abs(found.slope - 1.7) < 0.1
    assert abs(found.intercept + 0.6) < 0.1
    np.testing.assert_allclose(found(LOGITS), expit(found.slope * LOGITS + found.intercept), atol=1e-12)


def test_isotonic_rises_and_follows_any_shape() -> None:
    truth = np.where(LOGITS > 0, 0.7, 0.1)
    found = isotonic(LOGITS, drawn(truth))
    grid = np.linspace(-12, 12, 500)
    assert (np.diff(found(grid)) >= 0).all()
    assert ((found(grid) > 0) & (found(grid) < 1)).all()
    assert np.abs(found(LOGITS) - truth).mean() < 0.05


def test_isotonic_has_no_jump_within_the_noise_of_a_logit() -> None:
    found = isotonic(LOGITS, drawn(np.where(LOGITS > 0, 0.9, 0.05)))
    assert np.diff([at for at, _ in found.knots]).min() >= KNOT_DISTANCE
    assert np.abs(found(LOGITS + 1e-5) - found(LOGITS)).max() < 1e-3


def test_isotonic_is_taken_only_where_it_is_clearly_better() -> None:
    assert calibrate(LOGITS, drawn(expit(LOGITS)), GROUPS).kind == "platt"
    assert calibrate(LOGITS, drawn(np.where(LOGITS > 1, 0.9, 0.05)), GROUPS).kind == "isotonic"


def test_few_mistakes_are_calibrated_by_platt() -> None:
    labels = np.zeros(len(LOGITS), dtype=np.bool_)
    labels[np.argmax(LOGITS)] = True
    found = calibrate(LOGITS, labels, GROUPS)
    assert found.kind == "platt"
    assert np.isfinite(found(LOGITS)).all()
