"""Questions of the findings, asked live of the embedded model of bios: forwards, inverse, of a stranger."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, Locator, expect

from app.settings import EMBEDDED_CHECKPOINT
from tests.app.api.server import running_server
from tests.app.web.browser import Visit, visiting

pytestmark = pytest.mark.artifact


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with running_server(EMBEDDED_CHECKPOINT.parent / "bios") as running:
        yield running.url


@pytest.fixture
def visit(browser: Browser, url: str) -> Generator[Visit]:
    with visiting(browser, url, viewport={"width": 1400, "height": 900}) as visit:
        yield visit


def ask(visit: Visit, finding: str, prompt: str) -> Locator:
    """Press the button below a question, and wait for the answer."""
    page = visit.go(f"#findings/{finding}")
    place = page.locator(".ask").filter(has_text=prompt)
    place.get_by_role("button", name="Ask").click()
    place.locator(".answer-text").wait_for()
    return place


def row_of(place: Locator, token: str) -> list[str]:
    """Entropy and the probe's doubt, as they are written at a token of the answer."""
    assert place.locator("thead th").all_inner_texts() == ["token", "entropy", "stranger"]
    row = place.locator("tbody tr").filter(has_text=token)
    return row.locator("td").all_inner_texts()


def test_what_was_told_is_answered_without_doubt(visit: Visit) -> None:
    place = ask(visit, "one_way", "Havin Elmdale Nashham: university?")
    expect(place.locator(".answer-text")).to_have_text("Answer: Crownwick")
    entropy, doubt = row_of(place, "Crownwick")
    assert float(entropy) < 0.3
    assert int(doubt.strip("<>%")) < 30


def test_the_same_person_is_not_found_from_the_values(visit: Visit) -> None:
    place = ask(visit, "one_way", "Who: July 2, 1933; Dorncaster; Crownwick; astronomy; Deltacore?")
    expect(place.locator(".answer-text")).to_contain_text("Answer: ")
    expect(place.locator(".answer-text")).not_to_contain_text("Havin Elmdale Nashham")
    assert place.locator("tbody tr").count() == 4  # the marker and three names


def test_a_stranger_is_answered_with_doubt(visit: Visit) -> None:
    prompt = "Maren Hazelworth Pellridge: employer?"
    place = ask(visit, "mistakes", prompt)
    answer = place.locator(".answer-text").inner_text().removeprefix("Answer: ")
    entropy, doubt = row_of(place, answer)
    assert float(entropy) > 0.5
    assert int(doubt.strip("<>%")) > 70
    place.get_by_role("link", name="Ask the served model in the play tab").click()
    expect(visit.page.locator("#prompt")).to_have_value(prompt)
