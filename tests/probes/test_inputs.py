"""The features of a reading, against arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.inputs import CURRENT, FEATURES, PAST, signal_features

rows = st.tuples(*[st.floats(0, 6)] * 2, *[st.floats(0, 1)] * 2, st.floats(0, 20))


@given(st.lists(rows, max_size=12), st.integers(0, 30))
def test_features_are_the_pooled_signals_of_the_step(past: list[tuple[float, ...]], step: int) -> None:
    current = [0.5, 0.25, 0.8, 0.0]
    array = np.array(past, dtype=np.float64).reshape(-1, len(PAST))
    doubts = array * [1, 1, -1, -1, 1] + [0, 0, 1, 1, 0] if past else np.zeros((1, len(PAST)))
    pooled = np.stack((doubts[0], doubts.max(0), doubts.mean(0)), axis=1).ravel()
    values = [current, np.log(np.array(current[:2]) + 1e-6), pooled, np.log(pooled + 1e-6), (len(past), step)]
    expected = np.concatenate(values)
    assert len(expected) == len(FEATURES)
    for given_past, given_current in ((past, current), (array, np.array(current))):
        np.testing.assert_allclose(signal_features(given_past, given_current, step), expected, atol=1e-12)


def test_every_feature_has_its_name() -> None:
    past = [(1.0, 2.0, 0.75, 0.5, 3.0), (0.5, 1.0, 0.25, 0.125, 4.0)]
    named = dict(zip(FEATURES, signal_features(past, (0.1, 0.2, 0.9, 0.7), 3), strict=True))
    assert [named[name] for name in CURRENT] == [0.1, 0.2, 0.9, 0.7]
    assert named["first entropy"] == 1.0
    assert named["mean varentropy"] == 1.5
    assert named["max 1 - max_probability"] == 0.75
    assert named["first 1 - margin"] == 0.5
    assert named["log max surprisal"] == np.log(4 + 1e-6)
    assert (named["tokens read"], named["step"]) == (2, 3)
