"""The bootstrap against scipy's."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from app.compare.resampling import RESAMPLES, resampled_means, resamples_of
from app.compare.statistics import interval
from tests.app.compare.simulated import ends


def test_intervals_of_means_and_ratios_agree_with_scipy() -> None:
    random = np.random.default_rng(5)
    first, second = random.lognormal(3, 0.5, 300), random.lognormal(3.2, 0.5, 300)
    drawn = resampled_means(np.stack([first, second], axis=1))

    def ratio(mine: np.ndarray, theirs: np.ndarray, axis: int) -> np.ndarray:
        return mine.mean(axis=axis) / theirs.mean(axis=axis)

    for ours, samples, statistic in (
        (interval(float(first.mean()), drawn[:, 0]), (first,), np.mean),
        (interval(float(first.mean() / second.mean()), drawn[:, 0] / drawn[:, 1]), (first, second), ratio),
    ):
        theirs = bootstrap(
            samples, statistic, paired=True, method="percentile", n_resamples=4000, rng=random, batch=500
        ).confidence_interval
        low, _, high = ends(ours)
        width = theirs.high - theirs.low
        assert low == pytest.approx(theirs.low, abs=0.06 * width)
        assert high == pytest.approx(theirs.high, abs=0.06 * width)


def test_a_column_is_resampled_with_all_others_and_its_gaps_are_left_out() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 50, 40).astype(float)
    gappy = np.where(np.arange(40) < 10, np.nan, values)
    drawn = resampled_means(np.stack([values, 2 * values, gappy], axis=1))
    assert drawn.shape == (RESAMPLES, 3)
    assert np.array_equal(drawn[:, 1], 2 * drawn[:, 0])
    assert np.array_equal(drawn[:, 0], resampled_means(values[:, None])[:, 0])
    assert drawn[:, 2].mean() == pytest.approx(values[10:].mean(), rel=0.01)
    assert drawn[:, 2].std() == pytest.approx(values[10:].std() / np.sqrt(30), rel=0.1)


def test_draws_do_not_depend_on_how_many_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=(30, 2))
    whole = resampled_means(values)
    monkeypatch.setattr("app.compare.resampling._CHUNK", 7 * 30)
    assert resampled_means(values) == pytest.approx(whole, abs=1e-12)


def test_what_no_resample_knows_is_unknown() -> None:
    assert np.isnan(resampled_means(np.full((3, 1), np.nan))).all()
    assert resampled_means(np.empty((0, 2))).shape == (RESAMPLES, 2)


def test_many_problems_are_resampled_less_often() -> None:
    assert [resamples_of(count) for count in (0, 500, 50_000, 10**9)] == [RESAMPLES, RESAMPLES, 2000, 1000]
