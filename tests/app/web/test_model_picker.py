"""The page of a server with several models: which one it is about, and which an arm runs on."""

import json
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.app.api.checkpoints import CORPUS, write_random_checkpoint
from tests.app.api.server import Server, running_server
from tests.app.web.browser import WIDTHS, Visit, visiting
from tests.models.hub import write_foreign
from tests.models.tokenizers import corpus_tokenizer

pytestmark = pytest.mark.artifact


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A model with a corpus, another make without one, and a folder that cannot be loaded."""
    folder: Path = tmp_path_factory.mktemp("several")
    write_random_checkpoint(folder / "worldly", CORPUS)
    write_foreign("odd_gpt2", folder / "gpt2", corpus_tokenizer())
    write_random_checkpoint(folder / "broken")
    (folder / "broken" / "model.safetensors").write_bytes(b"none")
    named = ["--model", f"org/plain={folder / 'gpt2'}", "--model", f"broken={folder / 'broken'}"]
    kept = ["--comparisons", str(folder / "comparisons")]
    with running_server(folder / "worldly", [*named, *kept]) as running:
        yield running


@pytest.fixture(params=WIDTHS)
def visit(request: pytest.FixtureRequest, browser: Browser, several: Server) -> Generator[Visit]:
    """A window of either width."""
    with visiting(browser, several.url, **WIDTHS[request.param]) as visit:
        yield visit


def test_another_model_is_picked_and_answers(visit: Visit, several: Server) -> None:
    page = visit.go()
    picker = page.get_by_label("Model", exact=True)
    expect(picker.locator("option")).to_have_text(["worldly", "org/plain", "broken"])
    expect(picker).to_have_value("worldly")
    expect(page.locator("#op")).to_have_count(1)
    picker.select_option("org/plain")
    expect(page.locator(".about")).to_contain_text("org/plain names no corpus")
    assert page.url == f"{several.url}/?model=org%2Fplain"
    expect(picker).to_have_value("org/plain")
    expect(page.locator("#op")).to_have_count(0)
    assert httpx2.get(f"{several.url}/v1/models/org/plain", timeout=60).json()["loaded"]
    page.get_by_label("max tokens").fill("5")
    visit.run()
    page.get_by_text("The same request again").first.click()
    body = json.loads(page.locator(".snippet pre").first.inner_text().split("-d '", 1)[1].rstrip("'"))
    assert body["model"] == "org/plain"
    answer = httpx2.post(f"{several.url}/v1/completions", json=body, timeout=60).json()
    assert visit.written() == answer["choices"][0]["text"]
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # pyright: ignore[reportOptionalSubscript]
    page.get_by_label("Model", exact=True).select_option("worldly")
    expect(page.locator("#op")).to_have_count(1)
    assert page.url == f"{several.url}/#play"  # the tab, without a request that was another model's


def test_arms_run_on_the_models_that_are_picked_for_them(visit: Visit, several: Server) -> None:
    page = visit.go("?model=org%2Fplain#compare")
    models = page.locator(".arm").get_by_label("model", exact=True)
    expect(models.first).to_have_value("org/plain")  # the page is about it
    while page.locator(".arm").count() > 2:
        page.get_by_role("button", name="Remove this arm").last.click()
    models.nth(1).select_option("worldly")
    page.get_by_label("for latency").fill("0")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".comparison[data-status=done]").wait_for()
    id = page.url.rpartition("/")[2]
    spec = httpx2.get(f"{several.url}/v1/compare/{id}/spec", timeout=60).json()
    assert [arm["model"] for arm in spec["arms"]] == ["org/plain", None]
    page.get_by_role("button", name="Use as a template").click()
    expect(models.first).to_have_value("org/plain")
    expect(models.nth(1)).to_have_value("worldly")
    httpx2.delete(f"{several.url}/v1/compare/{id}", timeout=60)


def test_a_model_that_cannot_be_had_says_why_and_another_can_be_picked(visit: Visit) -> None:
    alert = visit.page.get_by_role("alert")
    visit.page.goto(f"{visit.url}/?model=none#play")
    expect(alert).to_contain_text('no model "none"; there are worldly, org/plain, broken')
    visit.page.goto(f"{visit.url}/?model=broken#play")
    expect(alert).to_contain_text("model.safetensors is damaged")
    visit.forgive("status of 503")
    visit.page.get_by_label("Model", exact=True).select_option("worldly")
    expect(visit.page.locator("#op")).to_have_count(1)


def test_a_broken_model_at_an_arm_is_said_there(visit: Visit) -> None:
    page = visit.go("#compare")
    models = page.locator(".arm").get_by_label("model", exact=True)
    models.first.select_option("broken")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("[role=alert]:visible")).to_contain_text("'broken' cannot be loaded")
    visit.forgive("status of 503")
