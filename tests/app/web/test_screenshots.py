"""The pictures in the documents: `DEMUR_SCREENSHOTS=docs/images pytest tests/app/web/test_screenshots.py`."""

import os
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.api.server import Server
from tests.app.web.browser import WIDTHS, Visit, visiting

_FOLDER = os.environ.get("DEMUR_SCREENSHOTS")

pytestmark = [
    pytest.mark.artifact,
    pytest.mark.skipif(_FOLDER is None, reason="DEMUR_SCREENSHOTS names no folder for the pictures"),
    pytest.mark.timeout(600),
]

DESKTOP = {"width": 1400, "height": 900}
COMPARISON = {
    "name": "retries",
    "arms": [
        {"name": "greedy", "strategy": {"kind": "greedy"}},
        {"name": "sample", "strategy": {"kind": "sample"}},
        {"name": "regret", "strategy": {"kind": "retry_upon_regret"}},
        {"name": "coin", "strategy": {"kind": "random_retry"}},
        {"name": "vote", "strategy": {"kind": "self_consistency", "samples": 4}},
    ],
    "problems": {"source": "corpus", "split": "validation", "ops": [5, 8], "count": 100},
    "latency_problems": 5,
}


def _save(page: Page, name: str, *, full: bool = True) -> None:
    assert _FOLDER is not None
    folder = Path(_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.fonts.ready")
    page.mouse.move(0, 0)
    page.screenshot(path=folder / name, full_page=full)


def _first_problem_solved(visit: Visit) -> Page:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    visit.run()
    page.evaluate("scrollTo(0, 0)")
    return page


@pytest.fixture(scope="module")
def comparison(server: Server) -> str:
    """The id of a comparison that is done."""
    status = httpx2.post(f"{server.url}/v1/compare", json=COMPARISON, timeout=60).json()
    with httpx2.stream("GET", f"{server.url}/v1/compare/{status['id']}/events", timeout=600) as stream:
        events = list(stream.iter_lines())
    assert "data: [DONE]" in events
    return status["id"]


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Generator[tuple[Visit, str]]:
    """A desktop's window in either theme."""
    theme: str = request.param
    with visiting(browser, server.url, viewport=DESKTOP, color_scheme=theme) as visit:
        yield visit, theme


def test_play(themed: tuple[Visit, str]) -> None:
    visit, theme = themed
    page = _first_problem_solved(visit)
    assert visit.cut()
    _save(page, f"playground-{theme}.png")


def test_two_strategies_in_the_dark(browser: Browser, server: Server) -> None:
    with visiting(browser, server.url, viewport=DESKTOP, color_scheme="dark") as visit:
        page = visit.go()
        expect(page.locator("#prompt")).not_to_have_value("")
        page.get_by_role("button", name="Put another beside it").click()
        visit.run()
        page.evaluate("scrollTo(0, 0)")
        _save(page, "playground-two.png")


def test_play_on_a_phone(browser: Browser, server: Server) -> None:
    with visiting(browser, server.url, **WIDTHS["phone"], color_scheme="light") as visit:
        page = visit.go()
        expect(page.locator("#prompt")).not_to_have_value("")
        visit.run()
        page.evaluate("document.querySelector('.stage').scrollIntoView()")
        _save(page, "playground-phone.png", full=False)


def test_compare(visit: Visit, comparison: str) -> None:
    page = visit.go(f"#compare/{comparison}")
    page.locator(".results").wait_for()
    _save(page, "compare.png")


def test_probes(visit: Visit) -> None:
    page = visit.go("#probes/step_error")
    _save(page, "probes.png")


def test_report(visit: Visit, comparison: str) -> None:
    visit.page.set_viewport_size({"width": DESKTOP["width"], "height": 1800})
    visit.page.goto(f"{visit.url}/v1/compare/{comparison}/report.html")
    visit.page.locator("svg").first.wait_for()
    _save(visit.page, "compare-report.png", full=False)
