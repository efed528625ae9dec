"""Scores between 0 and 1 in the statistics of a comparison."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.compare.graded import (
    graded_counts,
    graded_power,
    is_graded,
    mean_difference,
    mean_worth,
    sign_flip_p,
)
from app.compare.outcome import Outcome
from app.compare.results import ComparisonReport, Estimate
from app.compare.spec import parse_spec
from app.compare.statistics import mcnemar_p, paired_counts, share
from app.compare.summary import summarise

BINARY = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30)


def test_scores_are_graded_where_one_is_neither_0_nor_1() -> None:
    assert not is_graded(np.array([0.0, 1.0, np.nan]))
    assert is_graded(np.array([0.0, 0.5]))
    assert not is_graded(np.array([np.nan]))


@settings(max_examples=50, deadline=None)
@given(BINARY)
def test_a_share_stays_what_it_was(right: list[float]) -> None:
    worth = np.array([*right, np.nan])
    assert mean_worth(worth, graded=False) == share(worth)


def test_a_mean_score_has_the_interval_of_resampled_problems() -> None:
    scores = np.random.default_rng(0).beta(2, 3, 400)
    mean = mean_worth(np.append(scores, np.nan), graded=True)
    assert mean is not None
    assert mean.low is not None
    assert mean.high is not None
    assert mean.value == pytest.approx(scores.mean())
    half = 1.96 * scores.std() / 20
    assert mean.low == pytest.approx(scores.mean() - half, abs=half / 5)
    assert mean.high == pytest.approx(scores.mean() + half, abs=half / 5)
    assert mean_worth(np.array([np.nan]), graded=True) is None


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_few_scores_that_are_alike_are_not_certain(score: float) -> None:
    few, many = (mean_worth(np.full(count, score), graded=True) for count in (4, 400))
    assert few is not None
    assert many is not None
    for mean in (few, many):
        assert mean.low is not None
        assert mean.high is not None
        assert 0 <= mean.low <= mean.value == score <= mean.high <= 1
    assert width(few) > 0.4
    assert 0 < width(many) < 0.11


@pytest.mark.parametrize("by", [-0.5, 0.0, 0.25, 1.0])
def test_few_differences_that_are_alike_are_not_certain(by: float) -> None:
    few, many = (mean_difference(np.full(count, by), np.full(1000, by)) for count in (4, 400))
    assert few is not None
    assert many is not None
    for mean in (few, many):
        assert mean.low is not None
        assert mean.high is not None
        assert -1 <= mean.low <= mean.value == by <= mean.high <= 1
    assert width(few) > 0.8
    assert 0 < width(many) < 0.22
    assert mean_difference(np.array([]), np.array([])) is None


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def test_on_zeros_and_ones_sign_flips_are_mcnemars_test() -> None:
    generator = np.random.default_rng(1)
    first = (generator.random(300) < 0.6).astype(float)
    second = np.where(generator.random(300) < 0.8, first, generator.integers(0, 2, 300)).astype(float)
    exact = mcnemar_p(paired_counts(first, second))
    flipped = sign_flip_p(first - second)
    assert exact is not None
    assert flipped is not None
    assert flipped == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4)


def test_sign_flips_hold_their_level() -> None:
    generator = np.random.default_rng(2)
    values = [sign_flip_p(generator.normal(size=25)) for _ in range(200)]
    rejected = sum(value is not None and value < 0.05 for value in values)
    assert rejected <= 20  # 10 are expected; 20 is beyond the 99.9% quantile
    assert sign_flip_p(np.array([])) is None
    assert sign_flip_p(np.zeros(5)) == 1
    assert sign_flip_p(np.full(40, 0.25)) == pytest.approx(1e-4)


def test_counts_say_which_scores_higher() -> None:
    first, second = np.array([1, 0.5, 0, 0.2, 0, np.nan]), np.array([1, 0.2, 0, 0.5, 1, 0.0])
    counts = graded_counts(first, second)
    assert (counts.both, counts.first_only, counts.second_only, counts.neither) == (1, 1, 2, 1)


def test_more_problems_are_needed_where_scores_spread_more() -> None:
    generator = np.random.default_rng(3)
    near = graded_power(generator.normal(0.1, 0.2, 100)).problems_needed
    far = graded_power(generator.normal(0.1, 0.6, 100)).problems_needed
    assert near is not None
    assert far is not None
    assert near < far
    assert graded_power(np.array([])).reason is not None
    assert graded_power(np.full(5, 0.1)).reason is not None


def report_of(scores: dict[str, list[float]]) -> ComparisonReport:
    """The report of arms with these scores on the same problems."""
    items = [{"prompt": "a", "answer": "x, y"} for _ in next(iter(scores.values()))]
    scoring = {"kind": "set", "credit": "f1"}
    arms = [{"name": name, "strategy": {"kind": "greedy"}} for name in scores]
    spec = parse_spec({"arms": arms, "problems": {"source": "given", "items": items, "scoring": scoring}})
    plain: dict[str, Any] = {
        "group": None,
        "seed": 0,
        "answer": "x",
        "expected": "x, y",
        "solved": None,
        "first_error": None,
        "finish_reason": "stop",
        "abstained": False,
        "text": "x",
        "prompt_tokens": 1,
        "cached_tokens": 0,
        "completion_tokens": 1,
        "discarded_tokens": 0,
        "forward_rows": 1,
        "events": 0,
        "latency_s": 0.1,
    }
    outcomes = [
        Outcome(problem=str(place), arm=name, score=score, correct=score == 1, **plain)
        for name, of_arm in scores.items()
        for place, score in enumerate(of_arm)
    ]
    return summarise(spec, outcomes, ())


def test_a_report_of_graded_scores() -> None:
    generator = np.random.default_rng(4)
    low = generator.uniform(0, 0.5, 120)
    report = report_of({"low": [*low], "high": [*(low + generator.uniform(0, 0.4, 120))]})
    assert ComparisonReport.model_validate_json(report.model_dump_json()) == report
    [pair] = report.against_baseline
    assert pair.difference is not None
    assert pair.difference == pair.bootstrap
    assert (pair.arm_only, pair.other_only, pair.verdict) == (120, 0, "better")
    assert report.arm("low").answers_right == share(np.zeros(120))


def test_scores_that_are_all_0_or_1_have_the_statistics_of_shares() -> None:
    report = report_of({"a": [1.0, 0.0, 1.0, 0.0], "b": [1.0, 1.0, 1.0, 0.0]})
    [pair] = report.against_baseline
    assert pair.p == mcnemar_p(paired_counts(np.array([1.0, 1, 1, 0]), np.array([1.0, 0, 1, 0])))
    assert report.arm("a").accuracy == share(np.array([1.0, 0, 1, 0]))
