"""The compare tab in a real browser: a comparison from its form to its report, and what becomes of it."""

import json

import httpx2
import pytest
from playwright.sync_api import Route, expect

from tests.app.api.server import Server
from tests.app.web.browser import Visit

pytestmark = pytest.mark.artifact


def test_a_comparison_from_the_form_to_its_report(visit: Visit, server: Server) -> None:
    page = visit.go("#compare")
    for _ in range(2):
        page.get_by_role("button", name="Remove this arm").last.click()
    page.get_by_label("fewest steps").fill("1")
    page.get_by_label("most steps").fill("2")
    page.get_by_label("problems in all").fill("6")
    page.get_by_label("for latency").fill("0")
    expect(page.locator(".builder [role=status]")).to_contain_text("= 12 answers")
    page.locator("#comparison-name").fill("first")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".comparison[data-status=done]").wait_for()

    name = page.url.rpartition("/")[2]
    report = httpx2.get(f"{server.url}/v1/compare/{name}/report.json", timeout=60).json()
    assert [arm["name"] for arm in report["arms"]] == ["greedy", "sample"]
    table = page.locator(".numbers tbody tr")
    for row, arm in zip(table.all(), report["arms"], strict=True):
        expect(row).to_contain_text(f"{100 * arm['accuracy']['value']:.1f}%")
        expect(row).to_contain_text(f"{arm['tokens']['mean']['value']:.0f}")
    expect(page.locator(".plane .tag")).to_have_text(["greedy", "sample"], use_inner_text=False)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Report", exact=True).click()
    expect(opened.value.locator("svg").first).to_be_visible()
    opened.value.close()

    page.get_by_role("button", name="Use as a template").click()
    expect(page.locator("#comparison-name")).to_have_value("first")
    expect(page.get_by_label("problems in all")).to_have_value("6")
    page.get_by_role("link", name="first").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it with all it has found").click()
    page.locator(".builder").wait_for()
    expect(page.get_by_role("link", name="first")).to_have_count(0)
    assert httpx2.get(f"{server.url}/v1/compare/{name}", timeout=60).status_code == 404


def test_a_template_keeps_what_has_no_field_in_the_form(visit: Visit, server: Server) -> None:
    spec = {
        "name": "limits",
        "arms": [{"name": "short", "strategy": {"kind": "greedy"}, "logit_bias": {"5": -2.0}}],
        "problems": {"source": "corpus", "split": "validation", "ops": [1, 1], "count": 1},
        "max_tokens": 9,
        "signals": ["entropy"],
        "latency_problems": 0,
    }
    first = httpx2.post(f"{server.url}/v1/compare", json=spec, timeout=60).json()["id"]
    page = visit.go(f"#compare/{first}")
    page.locator(".comparison[data-status=done]").wait_for()
    page.get_by_role("button", name="Use as a template").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(lambda url: "#compare/" in url and not url.endswith(first))
    second = page.url.rpartition("/")[2]
    of_first, of_second = (
        httpx2.get(f"{server.url}/v1/compare/{name}/spec", timeout=60).json() for name in (first, second)
    )
    assert of_second == of_first | {"baseline": "short"}


def test_a_server_that_goes_away_is_waited_for(visit: Visit, server: Server) -> None:
    spec = {
        "name": "patience",
        "arms": [{"name": "greedy", "strategy": {"kind": "greedy"}}],
        "problems": {"source": "corpus", "split": "validation", "ops": [1, 1], "count": 1},
        "latency_problems": 0,
    }
    name = httpx2.post(f"{server.url}/v1/compare", json=spec, timeout=60).json()["id"]
    seen: list[str] = []

    def fail_twice(route: Route) -> None:
        seen.append(route.request.url)
        match len(seen):
            case 1:
                route.abort("connectionreset")
            case 2:  # a stream that breaks off
                head = {"content-type": "text/event-stream"}
                route.fulfill(status=200, headers=head, body=": still there\n\n")
            case _:
                route.continue_()

    visit.page.route("**/events", fail_twice)
    page = visit.go(f"#compare/{name}")
    expect(page.locator(".comparison [role=alert]")).to_contain_text("Trying again…")
    page.locator(".comparison[data-status=done]").wait_for()
    expect(page.locator(".numbers tbody tr")).to_have_count(1)
    expect(page.locator(".comparison [role=alert]")).to_be_hidden()
    assert len(seen) == 3
    visit.forgive("ERR_CONNECTION_RESET")


def test_given_prompts_without_answers_show_their_texts(visit: Visit) -> None:
    page = visit.go("#compare")
    for _ in range(2):
        page.get_by_role("button", name="Remove this arm").last.click()
    page.get_by_label("My own").check()
    prompt = "Kites are 7. Boats are 3 times kites. How many boats?"
    page.locator("#cmp-lines").fill(json.dumps({"prompt": prompt}))
    page.get_by_label("for latency").fill("0")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".comparison[data-status=done]").wait_for()
    expect(page.locator(".texts .asked")).to_have_text([prompt])
    expect(page.locator(".texts .written")).to_have_count(2)
    expect(page.locator(".texts .written").first).to_contain_text("Answer: 10")
    assert page.locator(".texts .token[data-heat]").count() > 20


def test_what_is_wrong_with_a_comparison_stands_where_it_is_wrong(visit: Visit) -> None:
    page = visit.go("#compare")
    page.get_by_label("name", exact=True).first.fill("sample")  # the name of another arm
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("'sample'")
    page.get_by_label("name", exact=True).first.fill("greedy")
    arm = page.locator(".arm").nth(1)
    arm.locator("summary").last.click()
    arm.get_by_label("temperature").first.fill("1000")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(arm.locator("[aria-invalid=true]")).to_have_value("1000")
    expect(page.locator("[role=alert]:visible, .field-error:visible")).to_have_count(1)  # said once
    visit.forgive("status of 400")
    page.get_by_label("My own").check()
    page.locator("#cmp-lines").fill('{"prompt": "Kites are 7."}\n{oops')
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("Line 2")
