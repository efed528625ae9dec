"""The findings tab: every claim with what was expected and what came, and questions to the served model."""

import re

import httpx2
import pytest
from playwright.sync_api import expect

from app.findings.published import published_folder, read_published
from tests.app.api.server import Server
from tests.app.web.browser import Visit

pytestmark = pytest.mark.artifact


def test_every_finding_shows_its_claim_its_thresholds_and_what_came(visit: Visit, server: Server) -> None:
    listed = httpx2.get(f"{server.url}/v1/findings", timeout=60).json()["data"]
    page = visit.go("#findings")
    page.locator(".probe-link:visible").first.wait_for()
    assert page.locator(".probe-link:visible strong").all_inner_texts() == [each["title"] for each in listed]
    for finding in listed:
        page.locator(f".probe-link[href='#findings/{finding['name']}']").click()
        shown = page.locator("#panel-findings article")
        expect(shown.locator("#finding-title")).to_have_text(finding["title"])
        for said in (finding["claim"], finding["source"], finding["command"], finding["verdict"]):
            expect(shown).to_contain_text(said)
        rows = shown.locator(".expectations tbody tr")
        expect(rows).to_have_count(len(finding["criteria"]))
        for number, criterion in enumerate(finding["criteria"]):
            row = rows.nth(number)
            expect(row).to_contain_text(criterion["meaning"])
            expect(row.locator(".zone.supports")).to_have_count(1)
            expect(row.locator(".zone.refutes")).to_have_count(len(criterion["refuted"]))
            expect(row.locator(".point")).to_have_count(0 if criterion["measured"] is None else 1)


def test_a_finding_has_an_address_and_a_question_is_asked_of_the_served_model(visit: Visit) -> None:
    page = visit.go("#findings/mistakes")
    expect(page.locator("#finding-title")).to_have_text("Models detect their own mistakes")
    page.get_by_role("link", name="Ask the served model in the play tab").click()
    expect(page.locator("#panel-play")).to_be_visible()
    expect(page.locator("#prompt")).to_have_value(
        read_published(published_folder()).data[2].questions[0].prompt
    )
    visit.run()
    expect(page.locator(".status:visible").first).to_contain_text("tokens kept")


def test_no_question_is_offered_where_another_corpus_is_served(visit: Visit) -> None:
    page = visit.go("#findings/one_way")
    expect(page.locator("#finding-title")).to_be_visible()
    expect(page.get_by_role("link", name="Ask the served model")).to_have_count(0)


def test_what_was_measured_lies_where_it_should_on_its_line(visit: Visit) -> None:
    """Of a made-up number: the interval within the green range, and its point within the interval."""
    visit.page.goto(f"{visit.url}/#findings")
    visit.page.locator("#finding-title").wait_for()
    places = visit.page.evaluate(
        """async () => {
            const { expectations } = await import("/web/js/findings/expectations.js");
            const made = expectations([{ meaning: "m", percent: true, verdict: "supported", by_seed: {},
                supported: { low: 0.4, high: null }, refuted: [{ low: null, high: 0.15 }],
                measured: { value: 0.6, low: 0.5, high: 0.7 } }]);
            document.querySelector("#panel-findings article").append(made);
            const box = name => { const { left, right } = made.querySelector(name).getBoundingClientRect();
                return [left, right]; };
            return [".zone.supports", ".zone.refutes", ".interval", ".point"].map(box);
        }"""
    )
    (green, red, interval, point) = places
    assert red[1] < green[0] < interval[0] < point[0] < point[1] < interval[1] < green[1]


def test_a_plan_is_read_at_the_question_of_a_drawn_problem_and_shown_on_its_graph(visit: Visit) -> None:
    page = visit.go("#findings/planning")
    page.get_by_role("button", name="Draw a problem and read the plan").click()
    said = page.get_by_text("the probe is right about")
    said.wait_for()
    prompt = page.locator(".plan-problem").inner_text()
    names = page.locator("#panel-findings .graph .node .name").all_text_contents()
    assert all(re.search(r" (\d+|>99\.?\d*|<1)%$", name) for name in names), names
    right, count = map(int, re.findall(r"about (\d+) of (\d+)", said.inner_text())[0])
    assert count == len(names)
    assert right > count / 2
    scored = httpx2.post(
        f"{visit.url}/v1/completions",
        json={"prompt": prompt, "max_tokens": 2, "temperature": 0, "signals": ["probe:necessary"]},
        timeout=60,
    ).json()
    first = scored["choices"][0]["signals"][-1]
    shown = next(name for name in names if name.startswith(first["token"].lower()))
    assert abs(100 * first["probe:necessary"] - float(shown.split(" ")[-1].strip("<>%"))) <= 1
