"""The page on a model that names no corpus and has no probes, no calibration: what it offers works."""

import re
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Request, expect

from tests.app.api.server import Server, running_server
from tests.app.web.browser import WIDTHS, Visit, visiting
from tests.models.hub import write_foreign
from tests.models.tokenizers import corpus_tokenizer

pytestmark = pytest.mark.artifact


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server of a GPT-2 as transformers writes it, with random weights."""
    folder: Path = tmp_path_factory.mktemp("plain")
    write_foreign("odd_gpt2", folder / "gpt2", corpus_tokenizer())
    with running_server(folder / "gpt2", ("--comparisons", str(folder / "comparisons"))) as running:
        yield running


@pytest.fixture(params=WIDTHS)
def visit(request: pytest.FixtureRequest, browser: Browser, plain: Server) -> Generator[Visit]:
    """A window of either width."""
    with visiting(browser, plain.url, **WIDTHS[request.param]) as visit:
        yield visit


def test_the_first_run_works_and_nothing_is_asked_for_that_is_not_there(visit: Visit) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    visit.page.on("request", note)
    page = visit.go()
    expect(page.locator(".about")).to_contain_text("names no corpus")
    expect(page.locator("#prompt")).not_to_have_value("")
    for absent in ("#op", "#split", "optgroup[label=Probes]", ".graph"):
        expect(page.locator(absent)).to_have_count(0)
    expect(page.get_by_role("button", name="Draw")).to_have_count(0)
    visit.run()
    assert page.locator(".run:visible .token[data-heat]").count() > 1
    expect(page.locator(".status:visible")).to_contain_text("tokens kept")
    expect(page.locator(".timeline:visible canvas")).to_have_count(1)
    expect(page.locator(".inspector:visible")).not_to_contain_text("Probes")
    expect(page.locator("[role=alert]:visible")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # pyright: ignore[reportOptionalSubscript]
    assert not [url for url in asked if "/v1/problems" in url]


def test_every_strategy_that_is_ready_runs_and_the_others_say_why_not(visit: Visit, plain: Server) -> None:
    page = visit.go()
    picker = page.locator(".picker select").first
    listed = httpx2.get(f"{plain.url}/v1/strategies").json()["data"]
    ready = page.locator(".picker").first.locator("optgroup[label='Ready to run'] option").all_text_contents()
    assert ready == [each["kind"].replace("_", " ") for each in listed if each["unavailable"] is None]
    lacking = next(each for each in listed if each["kind"] == "retry_upon_regret")
    picker.select_option("retry_upon_regret")
    expect(page.locator(".caution:visible")).to_contain_text(lacking["unavailable"])
    page.get_by_role("button", name="Run").click()
    refusal = page.locator("[role=alert]:visible, .field-error:visible")
    expect(refusal).to_have_count(1)  # said once, at the strategy
    expect(page.locator(".picker .field-error:visible")).to_contain_text("probe:step_error")
    visit.forgive("status of 40")
    picker.select_option("entropy_gated_branching" if "entropy gated branching" in ready else "beam")
    expect(page.locator(".caution:visible")).to_have_count(0)
    visit.run()
    expect(page.locator("[role=alert]:visible")).to_have_count(0)


def test_the_first_comparison_can_be_started_as_it_is(visit: Visit) -> None:
    page = visit.go("#compare")
    expect(page.locator("[name=source]")).to_have_count(0)  # there is nothing to choose
    expect(page.locator("option[value=oracle_retry]")).to_have_count(0)
    expect(page.locator(".caution:visible")).to_have_count(0)
    arms = page.locator(".arm").count()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".comparison[data-status=done]").wait_for()
    expect(page.locator(".texts tbody tr")).to_have_count(2)
    expect(page.locator(".texts tbody th").first).to_contain_text("Once upon a time")
    assert page.locator(".texts .token[data-heat]").count() > 5 * arms
    expect(page.locator("[role=alert]:visible")).to_have_count(0)
    page.get_by_role("button", name="Use as a template").click()
    expect(page.locator("#cmp-lines")).to_have_value(re.compile("Once upon a time"))
