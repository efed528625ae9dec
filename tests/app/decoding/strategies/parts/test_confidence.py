"""DeepConf's sums against windows written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.strategies.parts.confidence import group_confidences, stopping_bar, trace_confidence

VALUES = st.lists(st.floats(0, 20), min_size=1, max_size=40)


@given(VALUES, st.integers(1, 50))
def test_groups_and_sums_are_those_of_windows_written_out(values: list[float], window: int) -> None:
    starts = range(max(1, len(values) - window + 1))
    windows = [values[start : start + window] for start in starts]
    groups = [sum(each) / len(each) for each in windows]
    assert group_confidences(values, window) == pytest.approx(groups)
    tenth = sorted(groups)[: max(1, len(groups) // 10)]
    expected = {
        "mean": sum(values) / len(values),
        "tail": groups[-1],
        "lowest": min(groups),
        "bottom": sum(tenth) / len(tenth),
    }
    for aggregate in ("mean", "tail", "lowest", "bottom"):
        assert trace_confidence(values, window, aggregate) == pytest.approx(expected[aggregate])


@given(VALUES, st.floats(1, 100))
def test_as_many_as_asked_for_stay_above_the_bar(lowest: list[float], keep_percent: float) -> None:
    bar = stopping_bar(lowest, keep_percent)
    kept = sum(value >= bar for value in lowest)
    # The percentile lies between the two values around it.
    assert kept >= (len(lowest) - 1) * keep_percent / 100 - 1e-6
    assert min(lowest) <= bar <= max(lowest)


def test_bars() -> None:
    assert stopping_bar([4.0, 1.0, 3.0, 2.0, 5.0], 100) == 1.0
    assert stopping_bar([4.0, 1.0, 3.0, 2.0, 5.0], 75) == 2.0
    assert stopping_bar([4.0, 1.0, 3.0, 2.0, 5.0], 10) == pytest.approx(4.6)
    assert group_confidences([], 3) == [0.0]
