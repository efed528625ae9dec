"""The learned entropy threshold, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from app.decoding.calibration.threshold import learn_threshold


def noisy(seed: int, intercept: float, slope: float) -> tuple[list[float], list[bool]]:
    """Entropies, most of them tiny, and whether the likeliest token was wrong."""
    generator = np.random.default_rng(seed)
    entropies = generator.exponential(0.2, 3000) * (generator.random(3000) < 0.5) + 1e-5
    chance = 1 / (1 + np.exp(-(intercept + slope * entropies)))
    return entropies.tolist(), (generator.random(3000) < chance).tolist()


@pytest.mark.parametrize(("intercept", "slope"), [(-4.0, 5.0), (-2.0, 1.0), (-0.5, 3.0), (-7.0, 9.0)])
def test_it_is_where_logistic_regression_crosses_one_half(intercept: float, slope: float) -> None:
    entropies, wrong = noisy(1, intercept, slope)
    learned = learn_threshold(entropies, wrong)
    reference = LogisticRegression(C=1e6, tol=1e-10, max_iter=10_000)
    reference.fit(np.array(entropies)[:, None], np.array(wrong))
    assert learned.slope == pytest.approx(float(np.ravel(reference.coef_)[0]), rel=1e-4)
    assert learned.intercept == pytest.approx(float(np.ravel(reference.intercept_)[0]), rel=1e-4)
    assert learned.threshold is not None
    [[right, mistaken]] = reference.predict_proba([[learned.threshold]])
    assert right == pytest.approx(mistaken, abs=1e-3)
    assert (learned.wrong, learned.tokens) == (sum(wrong), 3000)


def test_a_clean_cut_is_found_although_its_slope_has_no_maximum() -> None:
    entropies = [0.1, 0.2, 0.3, 0.9, 1.0, 1.1]
    learned = learn_threshold(entropies, [value > 0.5 for value in entropies])
    assert learned.threshold is not None
    assert 0.3 < learned.threshold < 0.9


def test_more_often_wrong_than_right_everywhere_is_a_threshold_of_zero() -> None:
    learned = learn_threshold([0.0, 0.0, 0.0, 1.0, 1.0], [True, True, False, True, True])
    assert learned.threshold == 0.0


@pytest.mark.parametrize("wrong", [[False, False, False], [True, True, True], [True, False, False]])
def test_there_is_none_where_entropy_does_not_tell(wrong: list[bool]) -> None:
    assert learn_threshold([0.1, 0.5, 0.9], wrong).threshold is None
