"""What a probe computes, against the formulas of its families and scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from probes.errors import ProbeFileError
from probes.inputs import FEATURES
from probes.position import Position
from probes.probe import Calibration, Probe

END = Position("end", "close", (1,))


def data() -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 6))
    labels = inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + generator.normal(size=200) > 0
    return inputs, labels


def test_a_linear_probe_is_a_logistic_regression() -> None:
    inputs, labels = data()
    model = LogisticRegression().fit(inputs, labels)
    probe = Probe("p", END, (1, 2), model.coef_, model.intercept_)
    assert probe.width == 3
    np.testing.assert_allclose(
        probe.scores(inputs), np.asarray(model.predict_proba(inputs))[:, 1], atol=1e-12
    )


def test_a_probe_with_a_hidden_layer_is_a_network() -> None:
    inputs, labels = data()
    model = MLPClassifier((4,), alpha=1.0, max_iter=5000, random_state=0, solver="lbfgs").fit(inputs, labels)
    (first, second), (bias, out_bias) = model.coefs_, model.intercepts_
    probe = Probe("p", END, (0,), first.T, bias, second[:, 0], float(out_bias[0]))
    np.testing.assert_allclose(probe.scores(inputs), np.asarray(model.predict_proba(inputs))[:, 1], atol=1e-9)


def test_each_token_has_its_own_unit() -> None:
    inputs, _ = data()
    weight, bias = np.arange(12.0).reshape(2, 6) / 10, np.array([1.0, -1.0])
    both = Probe("p", END, (0,), weight, bias, tokens=(30, 20))
    for unit, token_id in enumerate((30, 20)):
        alone = Probe("p", END, (0,), weight[[unit]], bias[[unit]])
        np.testing.assert_allclose(both.scores(inputs, [token_id] * 200), alone.scores(inputs))


def test_isotonic_calibration_is_that_of_scikit_learn() -> None:
    inputs, labels = data()
    model = IsotonicRegression(out_of_bounds="clip").fit(inputs[:, 0], labels)
    knots = tuple(zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True))
    logits = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(
        Calibration("isotonic", knots=knots)(logits), np.asarray(model.predict(logits))
    )


def test_calibration_never_overflows() -> None:
    assert Calibration(slope=2.0)(np.array([-1e300, 0.0, 1e300])).tolist() == [0.0, 0.5, 1.0]


def test_signals_are_the_last_inputs() -> None:
    weight = np.arange(4.0 + len(FEATURES))[None]
    probe = Probe("p", END, (3, 5), weight, np.zeros(1), signals=True)
    assert probe.width == 2
    assert probe.hidden_weight.tolist() == [[0, 1, 2, 3]]
    assert probe.signal_weight[0, 0] == 4
    assert probe.signal_weight.shape == (1, len(FEATURES))
    only = Probe("p", END, (), np.ones((1, len(FEATURES))), np.zeros(1), signals=True)
    assert only.width == 0
    assert only.hidden_weight.shape == (1, 0)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"bias": np.zeros(2)}, "do not fit 1 units"),
        ({"weight": np.zeros(6)}, "do not fit 1 units"),
        ({"tokens": (1, 2)}, "do not fit 2 units"),
        ({"layers": (1, 2, 3, 4)}, "6 inputs are not 4 hidden states"),
        ({"layers": ()}, "6 inputs are not 0 hidden states"),
        ({"signals": True}, f"and {len(FEATURES)} signals"),
        ({"out_weight": np.ones(1), "tokens": (1,)}, "exclude each other"),
        ({"weight": np.full((1, 6), np.nan)}, "NaN or infinity"),
        ({"out_weight": np.ones(1), "out_bias": np.inf}, "NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"layers": (1,), "weight": np.zeros((1, 6)), "bias": np.zeros(1), **fields}
    with pytest.raises(ProbeFileError, match=says):
        Probe(name="p", position=END, **given)
