"""Metrics against scikit-learn, brute force and rows that are really repeated."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from probes.metrics.curves import curves
from probes.metrics.estimates import Estimate, Metrics
from probes.metrics.resampling import METRICS, difference, measure, resample
from probes.metrics.thresholds import rates_at, threshold_at

Sample = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Rows with both labels; few distinct scores, so that ties are the rule."""
    n = draw(st.integers(2, 60))
    scores = draw(st.lists(st.integers(0, draw(st.sampled_from([1, 4, 1000]))), min_size=n, max_size=n))
    labels = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda row: len(set(row)) == 2))
    groups = draw(st.lists(st.integers(-3, 9), min_size=n, max_size=n))
    return np.array(scores) / 1000, np.array(labels), np.array(groups, np.int64)


def _sample(seed: int, problems: int, rows_each: int) -> Sample:
    """Problems of their own difficulty, which shifts scores and mistakes alike."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(problems), rows_each)
    difficulty = random.normal(size=problems)[groups]
    labels = random.random(len(groups)) < 1 / (1 + np.exp(1 - 2 * difficulty))
    scores = 1 / (1 + np.exp(-(difficulty + labels + random.normal(size=len(groups)))))
    return scores, labels, groups.astype(np.int64)


def _values(metrics: Metrics) -> dict[str, float]:
    return {name: getattr(metrics, name).value for name in METRICS}


@given(samples())
def test_values_are_those_of_scikit_learn(sample: Sample) -> None:
    scores, labels, groups = sample
    metrics = measure(scores, labels, groups, resamples=1)

    assert metrics.auroc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.average_precision.value == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )
    assert metrics.brier.value == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)


@given(samples(), st.sampled_from([0.01, 0.05, 0.1, 0.29, 0.5, 1.0]))
def test_recall_and_threshold_are_the_best_of_all_thresholds(sample: Sample, rate: float) -> None:
    scores, labels, groups = sample
    best = max(
        np.mean(scores[labels] > threshold)
        for threshold in [-1.0, *scores]
        if np.sum(scores[~labels] > threshold) / np.sum(~labels) <= rate
    )

    alarm_rate, recall = rates_at(scores, labels, threshold_at(scores, labels, rate))

    assert recall == best
    assert alarm_rate <= rate
    if rate in (0.01, 0.05, 0.1):
        metrics = measure(scores, labels, groups, resamples=1)
        assert getattr(metrics, f"recall_at_{round(100 * rate)}").value == best


@given(samples())
def test_within_problem_auroc_counts_pairs_of_one_problem(sample: Sample) -> None:
    scores, labels, groups = sample
    pairs = [
        1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0
        for i in np.flatnonzero(labels)
        for j in np.flatnonzero(~labels)
        if groups[i] == groups[j]
    ]

    value = measure(scores, labels, groups, resamples=1).within_problem_auroc.value

    assert value == pytest.approx(np.mean(pairs), abs=1e-12) if pairs else math.isnan(value)


def _calibration_error(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    bins: dict[int, list[float]] = {}
    for score, label in zip(scores, labels, strict=True):
        middle = Fraction(int(2 * np.sum(scores > score) + np.sum(scores == score)), 2 * len(scores))
        bins.setdefault(math.floor(15 * middle), []).append(float(score) - float(label))
    return sum(abs(math.fsum(excess)) for excess in bins.values()) / len(scores)


@given(samples())
def test_calibration_error_is_taken_over_bins_of_equal_mass(sample: Sample) -> None:
    scores, labels, groups = sample
    metrics = measure(scores, labels, groups, resamples=1)
    assert metrics.ece.value == pytest.approx(_calibration_error(scores, labels), abs=1e-12)


def test_reliability_bins_hold_equally_many_rows_and_carry_the_calibration_error() -> None:
    scores, labels, groups = _sample(seed=0, problems=30, rows_each=10)
    bins = curves(scores, labels).reliability

    by_score = np.sort(scores).reshape(15, 20)
    assert [bin.rows for bin in bins] == [20] * 15
    assert [bin.mean_score for bin in bins] == pytest.approx(by_score.mean(axis=1))
    error = sum(bin.rows * abs(bin.mean_score - bin.observed) for bin in bins) / len(scores)
    assert error == pytest.approx(measure(scores, labels, groups, resamples=1).ece.value)


@settings(max_examples=20)
@given(samples(), st.integers(0, 5))
def test_a_resample_is_its_problems_literally_repeated(sample: Sample, seed: int) -> None:
    scores, labels, groups = sample
    names = np.unique(groups)
    resampled = resample(scores, labels, groups, resamples=5, seed=seed)

    random = np.random.default_rng(seed)
    for index in range(5 if len(names) > 1 else 0):
        drawn = [np.flatnonzero(groups == names[i]) for i in random.integers(len(names), size=len(names))]
        rows = np.concatenate(drawn)
        copies = np.repeat(np.arange(len(drawn)), [len(copy) for copy in drawn])  # each its own problem
        repeated = measure(scores[rows], labels[rows], copies, resamples=1)
        for name in METRICS:
            expected = _values(repeated)[name]
            assert resampled.draws[name][index] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_an_interval_by_problem_covers_the_truth_where_one_by_row_does_not() -> None:
    scores, labels, groups = _sample(seed=1, problems=20_000, rows_each=12)
    truth = _values(measure(scores, labels, groups, resamples=1))
    by_problem, by_row = [], []
    for seed in range(100):
        scores, labels, groups = _sample(seed=2 + seed, problems=40, rows_each=12)
        for covered, unit in ((by_problem, groups), (by_row, np.arange(len(groups)))):
            brier = measure(scores, labels, unit, resamples=200, seed=seed).brier
            covered.append(brier.low <= truth["brier"] <= brier.high)

    assert 0.88 <= np.mean(by_problem) <= 0.99
    assert np.mean(by_row) < np.mean(by_problem) - 0.05


def test_a_paired_difference_is_narrower_than_the_two_intervals() -> None:
    scores, labels, groups = _sample(seed=3, problems=60, rows_each=8)
    noisier = scores + np.random.default_rng(4).normal(scale=0.1, size=len(scores))
    first, second = (
        measure(scores, labels, groups, resamples=300).auroc,
        measure(noisier, labels, groups, resamples=300).auroc,
    )

    gain = difference(scores, noisier, labels, groups, resamples=300)

    assert gain.value == pytest.approx(first.value - second.value)
    assert gain.high - gain.low < 0.7 * (first.high - first.low)
    loss = difference(noisier, scores, labels, groups, resamples=300)
    assert (loss.value, loss.low, loss.high) == pytest.approx((-gain.value, -gain.high, -gain.low))
    same = difference(scores, scores, labels, groups, metric="recall_at_5", resamples=10)
    assert same == Estimate(value=0, low=0, high=0)


def test_scorers_of_different_rows_or_seeds_are_not_subtracted() -> None:
    scores, labels, groups = _sample(seed=5, problems=10, rows_each=4)
    here = resample(scores, labels, groups, resamples=5)
    for other in (
        resample(scores, labels, groups, resamples=5, seed=1),
        resample(scores, labels, groups[::-1].copy(), resamples=5),
    ):
        with pytest.raises(ValueError, match="same labels, groups, seed"):
            here.minus(other, "auroc")


def test_the_same_seed_gives_the_same_intervals_in_any_order_of_rows() -> None:
    scores, labels, groups = _sample(seed=6, problems=20, rows_each=5)
    shuffled = np.random.default_rng(0).permutation(len(scores))
    here = measure(scores, labels, groups, resamples=50).auroc
    there = measure(scores[shuffled], labels[shuffled], groups[shuffled], resamples=50).auroc
    assert (here.value, here.low, here.high) == pytest.approx((there.value, there.low, there.high))


@pytest.mark.parametrize("label", [False, True])
def test_one_class_alone_has_no_auroc_but_a_brier(label: bool) -> None:
    scores, groups = np.array([0.2, 0.4, 0.4]), np.array([0, 1, 1])
    labels = np.full(3, label)
    values = _values(measure(scores, labels, groups, resamples=10))

    assert math.isnan(values["auroc"])
    assert math.isnan(values["recall_at_5"])
    assert math.isnan(values["within_problem_auroc"])
    assert values["brier"] == pytest.approx(np.mean((scores - label) ** 2))
    assert curves(scores, labels).roc == ()
    assert math.isnan(threshold_at(scores, labels, 0.05)) == label


def test_no_rows_have_no_values() -> None:
    nothing = np.zeros(0)
    metrics = measure(nothing, nothing.astype(bool), nothing.astype(np.int64), resamples=10)

    assert all(math.isnan(value) for value in _values(metrics).values())
    assert curves(nothing, nothing.astype(bool)).reliability == ()
    assert math.isnan(threshold_at(nothing, nothing.astype(bool), 0.05))
    assert all(math.isnan(rate) for rate in rates_at(nothing, nothing.astype(bool), 0.5))


def test_a_constant_score_knows_nothing() -> None:
    scores, labels = np.full(40, 0.25), np.arange(40) % 4 == 0
    metrics = measure(scores, labels, np.arange(40), resamples=100)

    assert metrics.auroc == Estimate(value=0.5, low=0.5, high=0.5)
    assert metrics.recall_at_10 == Estimate(value=0, low=0, high=0)
    assert metrics.ece.value == pytest.approx(0, abs=1e-12)
    assert rates_at(scores, labels, threshold_at(scores, labels, 0.05)) == (0, 0)


@pytest.mark.parametrize("problems", [4, 40])
def test_a_perfect_score_of_few_problems_is_not_certain(problems: int) -> None:
    """Wilson's interval: of 4 of 4 it begins at 0.51, of 40 of 40 at 0.91."""
    labels, groups = np.arange(4 * problems) % 2 == 0, np.arange(4 * problems) // 2
    right, constant = labels.astype(float), np.full(len(labels), 0.5)
    metrics = measure(right, labels, groups, resamples=200)
    low = wilson(2 * problems)
    for each in (metrics.auroc, metrics.average_precision, metrics.recall_at_5):
        assert (each.value, each.high) == (1, 1)
        assert each.low == pytest.approx(low)
    gain = difference(right, constant, labels, groups, resamples=200)
    assert (gain.value, gain.high) == (0.5, 0.5)
    assert gain.low == pytest.approx(0.5 - (1 - low))
    both = difference(right, right, labels, groups, resamples=200)
    assert both.low == pytest.approx(-(1 - low))
    assert both.high == pytest.approx(1 - low)


def wilson(trials: int) -> float:
    return trials / (trials + 1.96**2)


def test_a_single_problem_has_values_and_no_intervals() -> None:
    scores, labels, _ = _sample(seed=7, problems=1, rows_each=30)
    auroc = measure(scores, labels, np.zeros(30, np.int64), resamples=10).auroc
    assert auroc.value == pytest.approx(roc_auc_score(labels, scores))
    assert math.isnan(auroc.low)
    assert math.isnan(auroc.high)


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    scores, labels, groups = _sample(seed=8, problems=10, rows_each=6)
    metrics = measure(3 * scores, labels, groups, resamples=10)
    assert math.isnan(metrics.brier.value)
    assert math.isnan(metrics.ece.value)
    assert metrics.auroc == measure(scores, labels, groups, resamples=10).auroc


def test_the_curve_keeps_to_its_points_and_to_the_full_curve() -> None:
    scores, labels, _ = _sample(seed=9, problems=500, rows_each=10)
    points = np.array(curves(scores, labels).roc)

    assert 150 < len(points) <= 200
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    assert np.all(np.diff(points, axis=0) >= 0)
    area = np.trapezoid(points[:, 1], points[:, 0])
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)


def test_rows_that_do_not_fit_are_refused() -> None:
    scores, labels, groups = _sample(seed=10, problems=4, rows_each=3)
    with pytest.raises(ValueError, match=r"\(12,\).*\(11,\)"):
        measure(scores, labels[1:], groups)
    with pytest.raises(ValueError, match="1 scores are not finite"):
        measure(np.where(np.arange(12) == 5, np.nan, scores), labels, groups)


def test_metrics_survive_json_with_what_is_undefined_as_null() -> None:
    scores, groups = np.array([0.2, 0.4]), np.array([0, 1])
    metrics = measure(scores, np.zeros(2, bool), groups, resamples=5)
    text = metrics.model_dump_json()

    assert '"auroc":{"value":null,"low":null,"high":null}' in text
    assert Metrics.model_validate_json(text) == metrics


@settings(max_examples=60)
@given(samples())
def test_no_metric_and_no_end_of_an_interval_leaves_0_to_1(sample: Sample) -> None:
    scores, labels, groups = sample
    found = measure(scores, labels, groups, resamples=40)
    for name in METRICS:
        estimate = getattr(found, name)
        for value in (estimate.value, estimate.low, estimate.high):
            assert math.isnan(value) or 0 <= value <= 1
        assert not estimate.low > estimate.high
    perfect = measure(labels.astype(float), labels, groups, resamples=40)
    for estimate, exact in ((perfect.auroc, 1), (perfect.average_precision, 1), (perfect.ece, 0)):
        assert estimate.value == exact
        assert math.isnan(estimate.high) or estimate.high == exact
        assert math.isnan(estimate.low) or estimate.low < 1
