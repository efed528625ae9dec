"""When there are too few labels, and when so few that they say little."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from probes.fitting.sizes import caution, half_width, shortage


def test_problems_count_and_not_readings() -> None:
    labels = np.repeat([True, False], [40, 60])
    apart, together = np.arange(100), np.repeat([0, 1], [40, 60])
    assert shortage("fit", labels, apart) is None
    assert "1 problems of the fit part have a wrong reading and 1 a right one" in str(
        shortage("fit", labels, together)
    )
    assert shortage("validation", labels[38:43], apart[38:43]) is not None
    assert shortage("validation", labels[37:43], apart[37:43]) is None


def test_a_part_that_says_little_is_told_so() -> None:
    labels = np.repeat([True, False], [5, 50])
    assert "so it says little" in str(caution("validation", labels, np.arange(55)))
    assert caution("validation", np.tile([True, False], 100), np.arange(200)) is None
    assert half_width(0, 5) == half_width(5, 0) == 1.0


def test_the_width_is_that_of_simulated_scores() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([True, False], [20, 60])
    shift = 0.9539  # normal scores so far apart have an AUROC of 0.75
    found = [roc_auc_score(labels, random.normal(size=80) + shift * labels) for _ in range(2000)]
    assert half_width(20, 60) == pytest.approx(1.96 * np.std(found), rel=0.1)
