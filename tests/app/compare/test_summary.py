"""A report against pandas, scipy and statsmodels on the run's file, and what must hold for any run."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from app.compare.outcome import LatencySample, Outcome
from app.compare.results import ComparisonReport, PairResult
from app.compare.spec import parse_spec
from app.compare.summary import summarise
from tests.app.compare.simulated import ends, outcome, run, spec_of, write

ARMS = ("base", "warm", "vote", "oracle")
PROBLEMS = 240


@pytest.fixture(scope="module")
def finished() -> tuple[list[Outcome], list[LatencySample], ComparisonReport]:
    outcomes, latency = run(ARMS, PROBLEMS)
    return outcomes, latency, summarise(spec_of(ARMS, PROBLEMS), outcomes, latency)


@pytest.fixture(scope="module")
def frame(finished: tuple[list[Outcome], Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = write(tmp_path_factory.mktemp("run") / "outcomes.jsonl", finished[0])
    return pd.read_json(path, lines=True, dtype={"problem": str})


def test_arms_agree_with_pandas_and_statsmodels(
    finished: tuple[Any, list[LatencySample], ComparisonReport], frame: Any
) -> None:
    _, latency, report = finished
    assert (report.measure, report.baseline, report.finished) == ("solved", "base", True)
    assert (report.problems, report.common) == (PROBLEMS, PROBLEMS)
    for arm in report.arms:
        mine = frame[frame["arm"] == arm.name]
        total = mine["completion_tokens"] + mine["discarded_tokens"]
        low, high = proportion_confint(mine["solved"].sum(), len(mine), method="wilson")
        assert ends(arm.accuracy) == pytest.approx((low, mine["solved"].mean(), high))
        assert arm.problems == len(mine)
        assert arm.told == (arm.name == "oracle")
        assert arm.answers_right is not None
        assert arm.answers_right.value == pytest.approx(mine["correct"].mean())
        assert arm.coverage is not None
        assert arm.coverage.value == pytest.approx(1 - mine["abstained"].mean())
        assert arm.accuracy_when_answered is not None
        assert arm.accuracy_when_answered.value == pytest.approx(mine[~mine["abstained"]]["solved"].mean())
        for spread, values in (
            (arm.tokens, total),
            (arm.kept, mine["completion_tokens"]),
            (arm.discarded, mine["discarded_tokens"]),
            (arm.forward_rows, mine["forward_rows"]),
            (arm.events, mine["events"]),
        ):
            assert spread is not None
            assert (spread.q05, spread.q50, spread.q95) == pytest.approx(values.quantile([0.05, 0.5, 0.95]))
            low, mean, high = ends(spread.mean)
            assert mean == pytest.approx(values.mean())
            # The bootstrap's interval is nearly that of the normal approximation with 240 problems.
            error = 1.96 * values.std(ddof=0) / math.sqrt(len(values))
            assert (low, high) == pytest.approx((mean - error, mean + error), abs=0.15 * error + 1e-9)
        assert arm.finish_reasons == mine["finish_reason"].value_counts().sort_index().to_dict()
        by_group = mine.groupby("group")["solved"].agg(["mean", "size"])
        assert {each.group: (each.accuracy.value, each.problems) for each in arm.groups if each.accuracy} == {
            str(group): (pytest.approx(row["mean"]), row["size"]) for group, row in by_group.iterrows()
        }
        assert arm.latency.under_load is not None
        assert arm.latency.under_load.median.value == pytest.approx(mine["latency_s"].median())
        assert arm.latency.under_load.p95 == pytest.approx(mine["latency_s"].quantile(0.95))
        alone = [sample.latency_s for sample in latency if sample.arm == arm.name]
        assert arm.latency.alone is not None
        assert arm.latency.alone.median.value == pytest.approx(np.median(alone))
        assert arm.latency.alone.problems == len(alone) == 20


def test_pairs_agree_with_statsmodels(finished: tuple[Any, Any, ComparisonReport], frame: Any) -> None:
    report = finished[2]
    solved = frame.pivot(index="problem", columns="arm", values="solved").astype(int)
    frame = frame.assign(total=frame["completion_tokens"] + frame["discarded_tokens"])
    tokens, rows = (
        frame.pivot(index="problem", columns="arm", values=name) for name in ("total", "forward_rows")
    )
    assert [pair.arm for pair in report.against_baseline] == ["warm", "vote", "oracle"]
    assert len(report.pairs) == 6
    for pairs in (report.against_baseline, report.pairs):
        corrected: Any = multipletests([pair.p for pair in pairs], method="holm")[1]
        for pair, adjusted in zip(pairs, corrected, strict=True):
            mine, theirs = solved[pair.arm], solved[pair.other]
            table = pd.crosstab(mine, theirs).reindex(index=[1, 0], columns=[1, 0], fill_value=0).to_numpy()
            tested: Any = mcnemar(table, exact=True)
            assert (pair.both, pair.arm_only, pair.other_only, pair.neither) == tuple(table.ravel())
            assert pair.p == pytest.approx(tested.pvalue)
            assert pair.p_adjusted == pytest.approx(adjusted)
            assert pair.problems == PROBLEMS
            gap = (mine - theirs).to_numpy()
            error = 1.96 * gap.std() / math.sqrt(len(gap))
            for estimate in (pair.difference, pair.bootstrap):
                low, value, high = ends(estimate)
                assert value == pytest.approx(gap.mean())
                assert (low, high) == pytest.approx((value - error, value + error), abs=0.15 * error)
            for ratio, costs in ((pair.token_ratio, tokens), (pair.row_ratio, rows)):
                low, value, high = ends(ratio)
                first, second = costs[pair.arm].to_numpy(), costs[pair.other].to_numpy()
                assert value == pytest.approx(first.mean() / second.mean())
                # The delta method.
                spread = 1.96 * (first - value * second).std() / second.mean() / math.sqrt(PROBLEMS)
                assert (low, high) == pytest.approx((value - spread, value + spread), abs=0.15 * spread)
            better = "better" if gap.mean() > 0 else "worse"
            assert pair.verdict == (better if adjusted < 0.05 else "not clear")


def test_the_front_leaves_out_who_is_told(finished: tuple[Any, Any, ComparisonReport]) -> None:
    report = finished[2]
    assert [point.arm for point in report.pareto] == ["base", "warm", "vote"]
    assert any("oracle" in warning for warning in report.warnings)


def test_a_report_survives_json_and_holds_no_nan(finished: tuple[Any, Any, ComparisonReport]) -> None:
    report = finished[2]
    text = report.model_dump_json()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(text, parse_constant=refuse)
    assert ComparisonReport.model_validate_json(text) == report


def test_the_same_outcomes_in_any_order_give_the_same_report(
    finished: tuple[list[Outcome], list[LatencySample], ComparisonReport],
) -> None:
    outcomes, latency, report = finished
    order = np.random.default_rng(3).permutation(len(outcomes))
    shuffled = [outcomes[place] for place in order]
    assert summarise(report.spec, shuffled, latency[::-1]).model_dump_json() == report.model_dump_json()


@settings(max_examples=8)
@given(st.integers(6, 40), st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.9]))
def test_who_comes_first_only_changes_signs(problems: int, seed: int, missing: float) -> None:
    outcomes, latency = run(("a", "b"), problems, seed, missing)
    forth = summarise(spec_of(("a", "b"), problems), outcomes, latency)
    back = summarise(spec_of(("b", "a"), problems), outcomes, latency)
    mine, theirs = _only(forth.pairs), _only(back.pairs)
    assert (mine.p, mine.arm_only, mine.other_only) == (theirs.p, theirs.other_only, theirs.arm_only)
    assert mine.power == theirs.power
    for first, second in ((mine.difference, theirs.difference), (mine.bootstrap, theirs.bootstrap)):
        if first is None or first.low is None:
            assert second is None or second.low is None
            continue
        low, value, high = ends(second)
        assert ends(first) == pytest.approx((-high, -value, -low), abs=1e-12)
    if mine.token_ratio is not None and mine.token_ratio.low is not None:
        low, value, high = ends(theirs.token_ratio)
        assert ends(mine.token_ratio) == pytest.approx((1 / high, 1 / value, 1 / low), rel=2e-3)
    assert forth.arm("a") == back.arm("a")


def test_an_arm_is_no_different_from_itself() -> None:
    outcomes, _ = run(("a",), 60)
    twin = [each.model_copy(update={"arm": "b"}) for each in outcomes]
    report = summarise(spec_of(("a", "b"), 60), [*outcomes, *twin], [])
    pair = _only(report.pairs)
    assert (pair.p, pair.p_adjusted, pair.verdict) == (1, 1, "not clear")
    low, value, high = ends(pair.difference)
    assert value == 0
    assert low == -high < 0
    assert ends(pair.bootstrap) == (0, 0, 0)
    assert ends(pair.token_ratio) == (1, 1, 1)
    assert any("does the setting change anything" in warning for warning in report.warnings)


def test_a_partial_run_is_paired_where_both_arms_have_finished() -> None:
    outcomes, _ = run(("a", "b", "c"), 90, missing=0.4)
    report = summarise(spec_of(("a", "b", "c", "late"), 90), outcomes, [])
    solved = {arm: {each.problem: each.solved for each in outcomes if each.arm == arm} for arm in "abc"}
    for pair in report.pairs:
        shared = solved.get(pair.arm, {}).keys() & solved.get(pair.other, {}).keys()
        assert pair.problems == pair.both + pair.arm_only + pair.other_only + pair.neither == len(shared)
        won = sum(bool(solved[pair.arm][each]) > bool(solved[pair.other][each]) for each in shared)
        lost = sum(bool(solved[pair.arm][each]) < bool(solved[pair.other][each]) for each in shared)
        assert (pair.arm_only, pair.other_only) == (won, lost)
        if shared:
            assert pair.p == pytest.approx(binomtest(won, won + lost).pvalue)
        else:
            assert (pair.p, pair.difference, pair.verdict, pair.token_ratio) == (None, None, None, None)
    assert (report.finished, report.common, report.pareto) == (False, 0, ())
    assert report.warnings[0].startswith(f"Not finished: {len(outcomes):,} of 360 outcomes.")
    assert any(warning == "late has finished no problem yet." for warning in report.warnings)


def test_nothing_finished_is_a_report_too() -> None:
    report = summarise(spec_of(("a", "b"), 30), [], [])
    assert [(arm.problems, arm.accuracy, arm.tokens) for arm in report.arms] == [(0, None, None)] * 2
    assert ComparisonReport.model_validate_json(report.model_dump_json()) == report


def _given(answers: Sequence[str | None]) -> dict[str, Any]:
    items = [{"prompt": f"p{place}", "answer": answer} for place, answer in enumerate(answers)]
    arms = [{"name": name, "strategy": {"kind": "greedy"}} for name in "ab"]
    return {"arms": arms, "problems": {"source": "given", "items": items}}


def test_answers_alone_are_the_measure_where_no_steps_are_judged() -> None:
    spec = parse_spec(_given(["7", "8", None]))
    outcomes = [
        outcome("0", "a", None, group=None, correct=True),
        outcome("1", "a", None, group=None, correct=True, abstained=True),
        outcome("2", "a", None, group=None, correct=None),
        outcome("0", "b", None, group=None, correct=False),
        outcome("1", "b", None, group=None, correct=True),
        outcome("2", "b", None, group=None, correct=None),
    ]
    report = summarise(spec, outcomes, [])
    assert report.measure == "correct"
    a, b = (arm.accuracy for arm in report.arms)
    assert a is not None
    assert b is not None
    assert (a.value, b.value) == (0.5, 0.5)  # an abstention is not right, whatever it would have said
    pair = _only(report.pairs)
    assert (pair.problems, pair.arm_only, pair.other_only) == (3, 1, 1)
    assert "1 problems have no answer; accuracy is over the others." in report.warnings


def test_prompts_without_answers_are_compared_by_cost() -> None:
    spec = parse_spec(_given([None, None]))
    outcomes = [
        outcome(problem, arm, None, kept=kept, correct=None, group=None)
        for problem in ("0", "1")
        for arm, kept in (("a", 10), ("b", 30))
    ]
    report = summarise(spec, outcomes, [])
    pair = _only(report.pairs)
    assert (report.measure, report.pareto, pair.difference, pair.p) == (None, (), None, None)
    assert pair.token_ratio is not None
    assert pair.token_ratio.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("outcomes", "complaint"),
    [
        ([outcome("1/0", "a", True)] * 2, "problem '1/0' has two outcomes of the arm 'a'"),
        ([outcome("1/0", "x", True)], "an outcome is of the arm 'x'; the arms are a, b"),
        (
            [outcome("1/0", "a", True), outcome("1/0", "b", True, group="op 2")],
            "problem '1/0' is in two groups: 'op 1', 'op 2'",
        ),
    ],
)
def test_outcomes_that_cannot_be_are_refused(outcomes: list[Outcome], complaint: str) -> None:
    with pytest.raises(ValueError, match="^" + complaint):
        summarise(spec_of(("a", "b"), 30), outcomes, [])


def _only(pairs: Sequence[PairResult]) -> PairResult:
    assert len(pairs) == 1
    return pairs[0]
