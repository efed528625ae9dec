"""Tabs, themes, phone, key, accessibility: the page as a whole."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.app.api.checkpoints import write_random_checkpoint
from tests.app.api.server import Server, running_server
from tests.app.web.browser import Visit, visiting

pytestmark = pytest.mark.artifact

TABS = ("play", "compare", "probes", "findings")


def _finish_a_run(visit: Visit) -> Page:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    visit.run()
    return page


# The themes differ in their colours alone.
@pytest.mark.parametrize(
    ("theme", "options"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})], ids=["light", "dark"]
)
def test_axe_finds_nothing_on_any_tab(
    browser: Browser, server: Server, theme: str, options: dict[str, Any]
) -> None:
    with visiting(browser, server.url, color_scheme=theme) as visit:
        page = _finish_a_run(visit)
        for summary in page.locator("summary:visible").all():
            summary.click()
        for tab in TABS:
            page.get_by_role("tab", name=tab).click()
            page.locator(f"#panel-{tab} > *").first.wait_for()
            found = Axe().run(page, options=options)
            assert found.violations_count == 0, found.generate_report()


def test_the_tabs_by_keyboard_and_by_address(visit: Visit) -> None:
    page = visit.go("#probes/syntax")
    expect(page.locator("#probe-title")).to_have_text("syntax")
    expect(page.get_by_role("tab", name="Probes")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Probes").focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Play")).to_be_focused()
    expect(page.locator("#panel-play")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Compare")).to_be_visible()
    page.go_back()
    expect(page.locator("#panel-play")).to_be_visible()


def test_a_whole_run_by_keyboard_alone(visit: Visit) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
                return
        raise AssertionError(f"Tab does not lead to {wanted}")

    tab_to("#prompt")
    page.keyboard.press("Control+a")
    page.keyboard.type("Kites are 7. Boats are 3 times kites. How many boats?")
    tab_to("#run")
    page.keyboard.press("Enter")
    visit.wait_until_done()
    tab_to(".token")
    page.keyboard.press("Home")
    first = page.locator(".inspector code").first.inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".inspector code").first).not_to_have_text(first)
    tab_to(".snippets summary")
    page.keyboard.press("Enter")
    tab_to(".snippet .copy")
    expect(page.locator(".snippet pre").first).to_contain_text("Kites are 7.")


def test_nothing_is_wider_than_a_phone(browser: Browser, server: Server) -> None:
    with visiting(browser, server.url, viewport={"width": 360, "height": 740}, is_mobile=True) as visit:
        page = _finish_a_run(visit)
        for tab in TABS:
            page.get_by_role("tab", name=tab).click()
            page.locator(f"#panel-{tab} > *").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab


def test_the_theme_follows_the_system_until_it_is_chosen(visit: Visit) -> None:
    page = visit.go("#probes")
    paper: Callable[[], str] = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = paper()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert paper() != light
    page.get_by_role("button", name="Dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_little_moves_while_a_text_is_written(visit: Visit) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    expect(page.locator(".run:visible .node").first).to_be_visible()
    page.locator("#run").click()
    page.locator(".run .token").first.wait_for()
    page.evaluate(
        """() => { window.moved = 0; new PerformanceObserver(list => {
            for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({type: 'layout-shift'}); }"""
    )
    visit.wait_until_done()
    assert page.evaluate("window.moved") < 0.1


def test_a_key_is_asked_for_once(browser: Browser, tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path / "tiny")
    flags = ("--api-key", "secret", "--comparisons", str(tmp_path / "comparisons"))
    with running_server(tmp_path / "tiny", flags) as server, visiting(browser, server.url) as visit:
        page = visit.page
        page.goto(server.url)
        page.get_by_role("textbox", name="API key").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#key-wrong")).to_be_visible()
        page.get_by_role("textbox", name="API key").fill("secret")
        page.get_by_role("button", name="Use it").click()
        page.locator("#prompt").fill("Kites are 7. How many kites?")
        page.locator(".picker select").first.select_option("greedy")
        visit.run()
        page.get_by_text("The same request again").first.click()
        snippets = "".join(page.locator(".snippet pre").all_inner_texts())
        assert "secret" not in snippets
        assert snippets.count("DEMUR_API_KEY") == 2
        page.reload()
        page.locator("#run").wait_for()
        assert not page.locator("#key-dialog").is_visible()
        visit.forgive("status of 401")


def test_the_page_says_why_there_is_no_model(browser: Browser, server: Server) -> None:
    with visiting(browser, server.url) as visit:
        visit.page.route(
            "**/health/ready",
            lambda route: route.fulfill(
                status=503, json={"status": "failed", "detail": "The decoding engine has stopped."}
            ),
        )
        visit.page.goto(server.url)
        expect(visit.page.get_by_role("alert")).to_have_text("The decoding engine has stopped.")
        visit.forgive("status of 503")


def test_the_cards_say_what_the_server_says(visit: Visit, server: Server) -> None:
    page = visit.go("#probes")
    for probe in httpx2.get(f"{server.url}/v1/probes", timeout=60).json()["data"]:
        page.locator(f".probe-link[href='#probes/{probe['name']}']").click()
        expect(page.locator("#probe-title")).to_have_text(probe["name"].replace("_", " "))
        expect(page.locator(".positive")).to_have_text(probe["card"]["positive"])
        domains = probe["card"]["evidence"]["evaluation"]["domains"]
        for table, domain in zip(page.locator(".interval-table").all(), domains.values(), strict=True):
            auroc = domain["metrics"]["auroc"]
            expect(table.locator("tr.own")).to_contain_text(f"{auroc['value']:.3f}")
            expect(table.locator("tr.own")).to_contain_text(f"{auroc['low']:.3f} to {auroc['high']:.3f}")
        recall = next(iter(domains.values()))["metrics"]["recall_at_1"]
        said = page.locator(".plane").first.get_attribute("aria-label") or ""
        assert re.search(rf"this probe: recall [<>]?{100 * recall['value']:.1f}%", said)


def test_the_cards_draw_the_curves_that_they_hold(visit: Visit, server: Server) -> None:
    page = visit.go("#probes/step_error")
    (probe,) = (
        each
        for each in httpx2.get(f"{server.url}/v1/probes", timeout=60).json()["data"]
        if each["name"] == "step_error"
    )
    domains = probe["card"]["evidence"]["evaluation"]["domains"]
    roc = page.locator("svg[aria-label^='The whole ROC curve']")
    expect(roc.locator(".line")).to_have_count(len(domains) + 1)  # and chance
    for line, domain in zip(roc.locator(".line").all(), domains.values(), strict=False):
        points = (line.get_attribute("d") or "").count("L") + 1
        assert points == len(domain["curves"]["roc"])
    reliability = page.locator("svg[aria-label^='Reliability']")
    bins = [each for domain in domains.values() for each in domain["curves"]["reliability"]]
    expect(reliability.locator(".marker")).to_have_count(len(bins))
    said = reliability.get_attribute("aria-label") or ""
    assert f"of {bins[0]['rows']:,} readings" in said
