"""The page of a comparison as a reader of HTML sees it: complete, well-formed, self-contained and escaped."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import yaml

from app.compare.outcome import Outcome, OutcomeToken
from app.compare.report import figures
from app.compare.report.page import render
from app.compare.results import ComparisonReport
from app.compare.spec import parse_spec
from app.compare.summary import summarise
from tests.app.compare.simulated import outcome, run, spec_of
from tests.html_page import Page, assert_loads_nothing, assert_refers_to_what_exists_once

ARMS = ("base", "warm", "vote", "oracle")
HOSTILE = '"><script>alert(1)</script><!-- $x$ --> & '


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return run(ARMS, 90)[0]


@pytest.fixture(scope="module")
def report(outcomes: list[Outcome]) -> ComparisonReport:
    return summarise(spec_of(ARMS, 90, name="demo"), outcomes, run(ARMS, 90)[1])


@pytest.fixture(scope="module")
def html(report: ComparisonReport, outcomes: list[Outcome]) -> str:
    return render(report, outcomes)


def test_the_page_loads_nothing(html: str) -> None:
    assert_loads_nothing(html)


def test_one_page_is_drawn_at_a_time_as_the_style_is_that_of_the_process(
    report: ComparisonReport, outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = threading.Barrier(2)
    met: list[int] = []

    def meet(*_: object) -> str:
        with suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(0.1))
        return ""

    for figure in ("frontier", "forest", "tokens", "latency"):
        monkeypatch.setattr(figures, figure, meet)
    with ThreadPoolExecutor(2) as threads:
        pages = [threads.submit(render, report, outcomes) for _ in range(2)]
    assert all(each.result() for each in pages)
    assert not met


def test_what_is_referred_to_exists_once(html: str) -> None:
    assert_refers_to_what_exists_once(html)


def test_tables_and_figures_say_what_they_are(html: str) -> None:
    page = Page(html)
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert {cell.get("scope") for cell in page.all("th")} == {"col", "row"}
    drawings = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(drawings) == 2 * len(page.all("figure")) == 8  # a wide and a narrow one
    assert all("base" in str(svg["aria-label"]) for svg in drawings)
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg") if svg.get("role") != "img")


def test_colours_are_colours(html: str) -> None:
    colours = re.findall(r"style=\"[^\"]*?(?:fill|stroke): ([^;\"]+)", html)
    assert colours
    assert {each for each in colours if not re.fullmatch(r"#[0-9a-f]{6}|none|currentColor", each)} == set()


def test_every_result_is_in_the_tables(html: str, report: ComparisonReport) -> None:
    text = Page(html).text.replace("\N{MINUS SIGN}", "-")
    for arm in report.arms:
        assert arm.accuracy is not None
        assert f"{arm.accuracy.value:.1%} {arm.accuracy.low:.1%} to {arm.accuracy.high:.1%}" in text
        for spread in (arm.tokens, arm.kept, arm.discarded):
            assert spread is not None
            assert f"{spread.mean.value:.1f} {spread.mean.low:.1f} to {spread.mean.high:.1f}" in text
        for group in arm.groups:
            assert group.accuracy is not None
            assert f"{group.accuracy.value:.1%} {group.accuracy.low:.1%}" in text
    for pair in report.against_baseline:
        assert pair.difference is not None
        assert pair.difference.low is not None
        assert pair.difference.high is not None
        assert f"{100 * pair.difference.low:+.1f} to {100 * pair.difference.high:+.1f}" in text
        assert pair.power.problems_needed is None or f"{pair.power.problems_needed:,}" in text
    for expected in (*report.warnings, "demur compare spec.json", "every step and the answer right"):
        assert expected in text


def test_the_same_report_gives_the_same_page(
    html: str, report: ComparisonReport, outcomes: list[Outcome]
) -> None:
    again = ComparisonReport.model_validate_json(report.model_dump_json())
    assert render(again, outcomes[::-1]) == html


def test_the_spec_that_is_shown_is_the_spec(html: str, report: ComparisonReport) -> None:
    shown = Page(html).text.split("--out runs/again", 1)[1]
    assert parse_spec(yaml.safe_load(shown)) == report.spec


def test_nothing_finished_is_a_page_too() -> None:
    text = Page(render(summarise(spec_of(ARMS, 90), [], []), [])).text
    assert "Nothing is finished yet." in text
    assert "nan" not in text.lower()


def test_one_arm_on_one_problem_is_a_page_too() -> None:
    outcomes = [outcome("1/0", "alone", True)]
    text = Page(render(summarise(spec_of(("alone",), 3), outcomes, []), outcomes)).text
    assert "alone solves most: 100.0%" in text
    assert "nan" not in text.lower()


def _prompts(signals: list[str]) -> tuple[ComparisonReport, list[Outcome]]:
    spec = parse_spec(
        {
            "arms": [{"name": name, "strategy": {"kind": "greedy"}} for name in "ab"],
            "problems": {"source": "given", "items": [{"id": HOSTILE, "prompt": HOSTILE}, {"prompt": "two"}]},
            "signals": signals,
        }
    )
    tokens = [
        OutcomeToken(text=text, signals={"entropy": value})
        for text, value in (("sure ", 0.0), (HOSTILE, 2.0))
    ]
    plain: dict[str, Any] = {"correct": None, "group": None, "answer": None, "expected": None}
    outcomes = [
        outcome(problem, arm, None, text="sure " + HOSTILE, tokens=tokens if signals else None, **plain)
        for problem in ("1", HOSTILE)
        for arm in "ab"
    ]
    return summarise(spec, outcomes, []), outcomes


def test_texts_of_prompts_stand_beside_each_other_coloured_by_the_signal() -> None:
    page = Page(render(*_prompts(["entropy"])))
    marks = page.all("mark")
    assert [mark["title"] for mark in marks[:2]] == ["entropy 0", "entropy 2"]
    heats = [float(str(mark["style"]).removeprefix("--heat: ")) for mark in marks[:2]]
    assert heats == [0, 100]
    assert len(marks) == 8
    assert "Accuracy" not in {str(tag) for tag in page.all("h2")}
    assert page.all("script") == []
    assert page.text.count(HOSTILE.strip()) == 6  # a name, a prompt and four texts


def test_texts_without_signals_are_plain() -> None:
    page = Page(render(*_prompts([])))
    assert page.all("mark") == []
    assert page.text.count("sure ") == 4


def test_judged_texts_are_those_on_which_arms_disagree(report: ComparisonReport, html: str) -> None:
    shown = re.findall(r'aria-label="Texts of ([^"]+)"', html)
    assert len(shown) == 8
    outcomes = run(ARMS, 90)[0]
    for problem in shown:
        assert {each.solved for each in outcomes if each.problem == problem} == {True, False}
    assert f"{report.problems - 8} more stand in outcomes.jsonl." in Page(html).text
