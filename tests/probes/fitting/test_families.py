import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from probes.fitting import families
from probes.fitting.families import FAMILIES, INVERSE_PENALTY, fit
from probes.fitting.stacking import fit_stacked, logits


def clouds(
    rows: int, size: int, distance: float, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two Gaussian clouds on axes of very different scale, and which of them a row is of."""
    random = np.random.default_rng(seed)
    labels = random.random(rows) < 0.3
    direction = random.normal(size=size)
    direction /= np.linalg.norm(direction)
    points = random.normal(size=(rows, size)) + distance * labels[:, None] * direction
    return points * 10.0 ** random.uniform(-2, 2, size) + random.normal(size=size) * 5, labels


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_comes_near_the_best_possible(family: str) -> None:
    """Of two Gaussian clouds at distance 3 the best AUROC is Phi(3 / sqrt 2) = 0.983."""
    points, labels = clouds(4000, 12, 3.0)
    weights = fit(family, points[:3000], labels[:3000])
    assert roc_auc_score(labels[3000:], logits(weights, points[3000:])) > 0.97


def test_logistic_is_that_of_scikit_learn_on_normalised_inputs() -> None:
    points, labels = clouds(500, 6, 1.0)
    scaler = StandardScaler().fit(points)
    expected = LogisticRegression(C=INVERSE_PENALTY, max_iter=300, tol=1e-3).fit(
        scaler.transform(points), labels
    )
    found = logits(fit("logistic", points, labels), points)
    np.testing.assert_allclose(found, expected.decision_function(scaler.transform(points)), atol=1e-6)


def test_hidden_layer_learns_what_no_line_separates() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(6000, 2))
    labels = (points[:, 0] > 0) ^ (points[:, 1] > 0)
    scores = {
        family: roc_auc_score(labels[4000:], logits(fit(family, points[:4000], labels[:4000]), points[4000:]))
        for family in ("logistic", "hidden_layer")
    }
    assert scores["logistic"] < 0.6
    assert scores["hidden_layer"] > 0.97


@pytest.mark.parametrize("family", FAMILIES)
def test_fit_is_the_same_every_time_and_survives_a_constant_input(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "MIN_STEPS", 200)  # of a hidden layer, which need not fit well here
    points, labels = clouds(300, 5, 2.0)
    points[:, 2] = 7.0
    first, second = fit(family, points, labels), fit(family, points, labels)
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.out_weight, second.out_weight)
    assert np.isfinite(logits(first, points)).all()


@settings(max_examples=4)
@given(st.sampled_from(["logistic", "low_rank", "hidden_layer"]), st.integers(0, 9))
def test_stacked_probe_is_the_second_fit_on_the_first_ones_logit(family: str, seed: int) -> None:
    """One probe on all inputs computes what the two fits, one after the other, compute: the second sees the
    first's logit through one weight, so along the hidden states the joined logit moves with the first's."""
    random = np.random.default_rng(seed)
    hidden, labels = clouds(400, 4, 2.0, seed)
    signals = random.normal(size=(400, 3)) + labels[:, None]
    own = random.random(400) < 0.8
    groups = random.integers(0, 100, 400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "MIN_STEPS", 200)  # both are the same hidden layer, however well it fits
        combined = fit_stacked(family, "logistic", hidden, signals, labels, own, groups)
        first = fit(family, hidden, labels)
    joined = logits(combined, np.concatenate((hidden, signals), axis=1))
    design = np.column_stack((logits(first, hidden), signals, np.ones(400)))
    coefficients, *_ = np.linalg.lstsq(design, joined, rcond=None)
    np.testing.assert_allclose(design @ coefficients, joined, atol=1e-6)
    assert coefficients[0] > 0


def test_signals_are_learnt_from_own_rows_only() -> None:
    """On the rows that are not the model's own, the signal says the opposite."""
    random = np.random.default_rng(1)
    labels = random.random(2000) < 0.5
    own = np.arange(2000) < 1000
    signals = np.where(own, labels, ~labels)[:, None] + 0.3 * random.normal(size=(2000, 1))
    hidden = random.normal(size=(2000, 3))
    for layers in (hidden, hidden[:, :0]):
        weights = fit_stacked("logistic", "hidden_layer", layers, signals, labels, own, np.arange(2000))
        scores = logits(weights, np.concatenate((layers, signals), axis=1))
        assert roc_auc_score(labels[own], scores[own]) > 0.95


def test_first_fit_learns_from_all_rows() -> None:
    """Mistakes are in the rows that are not the model's own only."""
    points, labels = clouds(1000, 5, 3.0)
    own = ~labels
    weights = fit_stacked("logistic", "none", points, np.zeros((1000, 2)), labels, own, np.arange(1000))
    assert roc_auc_score(labels, logits(weights, points)) > 0.95


def test_logit_is_that_of_the_model_which_drew_the_labels() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(20000, 3))
    truth = points @ np.array([1.0, -2.0, 0.5]) - 1
    labels = random.random(20000) < expit(truth)
    slope, intercept = np.polyfit(truth, logits(fit("logistic", points, labels), points), 1)
    assert abs(slope - 1) < 0.05
    assert abs(intercept) < 0.05
