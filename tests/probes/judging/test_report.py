"""The report as a reader of HTML sees it: complete, well-formed, self-contained and escaped."""

import math

import numpy as np
import pytest

from probes.fitting.sweep import SweepEntry
from probes.judging import plots
from probes.judging.base_rates import BaseRate
from probes.judging.report import render
from probes.judging.results import CalibrationDrift, DomainResult, EvaluationReport, ProbeResult, RivalResult
from probes.metrics.curves import curves
from probes.metrics.estimates import Estimate
from probes.metrics.resampling import resample
from probes.metrics.thresholds import MeasuredRates, ThresholdResult, rates_at, threshold_at
from tests.html_page import Page, assert_loads_nothing, assert_refers_to_what_exists_once


def _domain(name: str, seed: int) -> DomainResult:
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), 5)
    labels = random.random(300) < 0.3
    scores = 1 / (1 + np.exp(-(3 * labels + random.normal(size=300) - 1.5)))
    probe = resample(scores, labels, groups, resamples=40)
    comparisons: list[RivalResult] = []
    for rival, signal in (("entropy", 1.5), ("signals_logistic", 2.0), ("shuffled_labels", 0.0)):
        other = resample(signal * labels + random.normal(size=300), labels, groups, resamples=40)
        comparisons.append(
            RivalResult(
                name=rival,
                kind="baseline" if signal else "control",
                metrics=other.metrics(),
                auroc_gain=probe.minus(other, "auroc"),
                recall_gain=probe.minus(other, "recall_at_5"),
            )
        )
    return DomainResult(
        domain=name,
        rows=300,
        positives=int(labels.sum()),
        problems=60,
        metrics=probe.metrics(),
        comparisons=tuple(comparisons),
        curves=curves(scores, labels),
    )


def _probe(name: str, seed: int) -> ProbeResult:
    random = np.random.default_rng(seed)
    labels, scores = random.random(200) < 0.5, random.random(200)
    threshold = threshold_at(scores, labels, 0.05)
    alarm_rate, recall = rates_at(scores, labels, threshold)
    drift = Estimate(value=0.0321, low=0.02, high=0.04)
    sweep = tuple(
        SweepEntry(
            family="logistic",
            layers=layers,
            position=position,
            signals=signals,
            auroc=Estimate(value=0.6 + 0.03 * max(layers), low=0.55 + 0.03 * max(layers), high=0.9),
            tokens_left=left,
            chosen=(layers, position, signals) == ((8,), "end", False),
        )
        for layers in ((0,), (4,), (8,), (4, 8))
        for position, left in (("end", 0), ("named", 6.25))
        for signals in (False, True)
    )
    return ProbeResult(
        name=name,
        meaning="This step is the first wrong one.",
        position="end",
        family="logistic",
        layers=(8,),
        domains=(_domain("id", seed), _domain("ood", seed + 1)),
        sweep=sweep,
        thresholds=(
            ThresholdResult(
                asked=0.05,
                threshold=threshold,
                measured=(
                    MeasuredRates(rows="calibration", false_alarm_rate=alarm_rate, recall=recall),
                    MeasuredRates(rows="id", false_alarm_rate=0.0625, recall=0.875),
                ),
            ),
        ),
        calibration_drift=(CalibrationDrift(label="steps sampled again", ece=drift, brier=drift),),
    )


def _report(*probes: ProbeResult) -> EvaluationReport:
    return EvaluationReport(
        checkpoint="igsm-small",
        identity={"weights": "ab" * 32, "config": "cd" * 32},
        made="2025-03-01",
        command="demur probe evaluate igsm-small",
        probes=probes,
        base_rates=(
            BaseRate(domain="id", op=None, temperature=0.7, kind="not_ready", rows=12_345, positives=678),
        ),
        notes=("Layer 0 reads no context.",),
    )


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return _report(_probe("step_error", 0), _probe("answer_error", 10))


@pytest.fixture(scope="module")
def html(report: EvaluationReport) -> str:
    return render(report)


def test_a_report_survives_json(report: EvaluationReport) -> None:
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_the_page_loads_nothing(html: str) -> None:
    assert_loads_nothing(html)


def test_what_is_referred_to_exists_once(html: str) -> None:
    assert_refers_to_what_exists_once(html)


def test_every_number_of_a_probe_is_there(html: str, report: EvaluationReport) -> None:
    text = Page(html).text
    for probe in report.probes:
        assert probe.meaning in text
        for domain in probe.domains:
            for metrics in (domain.metrics, *(other.metrics for other in domain.comparisons)):
                auroc, recall = metrics.auroc, metrics.recall_at_5
                assert f"{auroc.value:.3f} {auroc.low:.3f} to {auroc.high:.3f}" in text
                assert f"{recall.value:.1%} {recall.low:.1%} to {recall.high:.1%}" in text
            for other in domain.comparisons:
                assert other.auroc_gain is not None
                assert f"{other.auroc_gain.value:+.3f}" in text
    for expected in ("6.2", "87.5%", "0.032", "12,345", "5.5%", "2025-03-01", "ab" * 32, "Layer 0 reads no"):
        assert expected in text


def test_tables_and_figures_say_what_they_are(html: str) -> None:
    page = Page(html)
    assert len(page.all("caption")) == len(page.all("table")) == 12
    assert {cell.get("scope") for cell in page.all("th")} == {"col", "row"}
    figures = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(figures) == len(page.all("figure")) == 10
    assert all("step_error" in str(svg["aria-label"]) for svg in figures[:5])
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg") if svg.get("role") != "img")


def test_the_same_report_gives_the_same_page(html: str, report: EvaluationReport) -> None:
    assert render(EvaluationReport.model_validate_json(report.model_dump_json())) == html


def test_names_are_text_and_nothing_else() -> None:
    hostile = '"><script>alert(1)</script><!-- $x$ --> & '
    probe = _probe(hostile, 3)
    entry = probe.sweep[0].model_copy(update={"position": hostile, "family": hostile})
    rival = probe.domains[0].comparisons[0].model_copy(update={"name": hostile})
    domain = probe.domains[0].model_copy(update={"domain": hostile, "comparisons": (rival,)})
    probe = probe.model_copy(update={"meaning": hostile, "domains": (domain,), "sweep": (entry,)})

    page = Page(render(_report(probe).model_copy(update={"checkpoint": hostile, "notes": (hostile,)})))

    assert page.all("script") == []
    assert page.text.count(hostile.strip()) > 10


def test_the_gain_of_the_best_baseline_is_judged_by_its_interval(report: EvaluationReport) -> None:
    probe = report.probes[0]
    domain = probe.domains[0]
    assert domain.best_baseline() == domain.comparisons[1]

    def verdicts(low: float, high: float) -> str:
        gain = Estimate(value=(low + high) / 2, low=low, high=high)
        rival = domain.comparisons[1].model_copy(update={"auroc_gain": gain, "recall_gain": None})
        changed = domain.model_copy(update={"comparisons": (rival,)})
        return render(_report(probe.model_copy(update={"domains": (changed,), "sweep": ()})))

    assert verdicts(0.01, 0.03).count('class="better"') == 2  # in the summary and in the table
    assert verdicts(-0.03, -0.01).count('class="worse"') == 2
    assert verdicts(-0.01, 0.01).count('class="not-clear"') == 2


def test_a_probe_of_which_nothing_is_known_is_still_drawn() -> None:
    scores, labels = np.full(4, 0.5), np.zeros(4, bool)
    metrics = resample(scores, labels, np.arange(4), resamples=5).metrics()
    domain = DomainResult(
        domain="id", rows=4, positives=0, problems=4, metrics=metrics, curves=curves(scores, labels)
    )
    probe = _probe("step_error", 0).model_copy(update={"domains": (domain,), "sweep": (), "thresholds": ()})

    assert domain.best_baseline() is None
    assert "nan" not in Page(render(_report(probe))).text.lower()
    assert "nan" not in Page(render(_report(probe.model_copy(update={"domains": ()})))).text.lower()


def test_a_line_of_the_layer_plot_is_the_best_family_at_each_layer() -> None:
    def entry(family: str, layer: int, value: float) -> SweepEntry:
        auroc = Estimate(value=value, low=math.nan, high=math.nan)
        return SweepEntry(
            family=family, layers=(layer,), position="end", signals=False, auroc=auroc, tokens_left=0
        )

    best = (entry("mlp", 0, 0.7), entry("logistic", 6, 0.9))
    worse = (entry("logistic", 0, 0.6), entry("mlp", 6, 0.8))
    probe = _probe("step_error", 0)

    def drawn(sweep: tuple[SweepEntry, ...]) -> str:
        return plots.layers(probe.model_copy(update={"sweep": sweep}))

    assert drawn(best + worse) == drawn(worse + best) == drawn(best) != drawn(worse)
