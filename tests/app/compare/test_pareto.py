"""The front against its definition, written out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.compare.pareto import pareto


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 25), st.integers(0, 1000))
def test_the_front_is_what_nothing_beats(arms: int, problems: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    right = (random.random((problems, arms)) < 0.6).astype(float)
    tokens = random.integers(1, 4, (problems, arms)).astype(float)
    names = [f"arm{place}" for place in range(arms)]
    means = [(float(right[:, arm].mean()), float(tokens[:, arm].mean())) for arm in range(arms)]
    points = pareto(names, right, tokens)
    assert [(point.arm, point.accuracy, point.tokens) for point in points] == [
        (name, *mean) for name, mean in zip(names, means, strict=True)
    ]
    for point, (accuracy, cost) in zip(points, means, strict=True):
        beaten = any(
            other >= accuracy and price <= cost and (other, price) != (accuracy, cost)
            for other, price in means
        )
        assert point.on_front is not beaten
        assert 0 <= point.front_share <= 1
        assert point.arm not in point.dominated_by
    assert any(point.on_front for point in points)


def test_noise_decides_who_is_surely_beaten() -> None:
    random = np.random.default_rng(0)
    right = np.stack([random.random(400) < share for share in (0.9, 0.6, 0.89)], axis=1).astype(float)
    tokens = np.stack([random.integers(low, low + 20, 400) for low in (40, 80, 40)], axis=1).astype(float)
    good, bad, rival = pareto(["good", "bad", "rival"], right, tokens)
    assert set(bad.dominated_by) == {"good", "rival"}
    assert (bad.on_front, bad.front_share) == (False, 0)
    assert good.dominated_by == rival.dominated_by == ()
    assert 0.2 < good.front_share + rival.front_share < 2


def test_equal_arms_share_the_front() -> None:
    right, tokens = np.ones((10, 2)), np.full((10, 2), 5.0)
    assert all(point.on_front and point.front_share == 1 for point in pareto(["a", "b"], right, tokens))


def test_no_common_problems_no_front() -> None:
    assert pareto(["a"], np.empty((0, 1)), np.empty((0, 1))) == ()
