"""What is seen by whoever opens the page for the first time, follows a link, or goes back."""

import json
import re

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from app.decoding.sampling.fields import SamplingFields
from tests.app.api.server import Server
from tests.app.web.browser import PROMPT, Visit, place

pytestmark = pytest.mark.artifact


def _completions(page: Page) -> list[str]:
    """The requests for a text, as they come."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/completions"):
            asked.append(request.url)

    page.on("request", note)
    return asked


def test_the_page_says_what_the_problems_are_and_that_arithmetic_is_modular(
    visit: Visit, server: Server
) -> None:
    page = visit.go()
    corpus = httpx2.get(f"{server.url}/v1/models").json()["data"][0]["card"]["corpus"]
    about = page.locator(".about")
    expect(about).to_contain_text("iGSM")
    expect(about).to_contain_text(f"modulo {corpus['modulus']}, so 10 * 7 = {70 % corpus['modulus']};")
    expect(about).to_contain_text("docs/igsm.md")
    links = about.get_by_role("link").all()
    assert [link.get_attribute("href") for link in links] == [
        "https://arxiv.org/abs/2407.20311",
        "https://arxiv.org/abs/2408.16293",
    ]
    for term in ("steps", "op", "id", "ood", "split"):
        expect(page.locator("#drawing-terms")).to_contain_text(re.compile(rf"\b{term}\b"))
    for field in ("#op", "#split"):
        assert page.locator(field).get_attribute("aria-describedby") == "drawing-terms"
    # What can be reached without scrolling is enough to begin.
    run = page.get_by_role("button", name="Run").bounding_box()
    assert run is not None
    assert run["y"] + run["height"] <= 900


def test_a_link_fills_in_the_form_and_waits_for_run(visit: Visit) -> None:
    asked = _completions(visit.page)
    page = visit.go(place(seed=17, sampling={"temperature": 0.5}))
    expect(page.locator("#prompt")).to_have_value(PROMPT)
    expect(page.locator("#seed")).to_have_value("17")
    expect(page.locator(".quartet input").first).to_have_value("0.5")
    expect(page.locator(".run:visible .node").first).to_be_visible()
    expect(page.locator(".placeholder:visible")).to_contain_text("Press Run")
    assert asked == []
    visit.run()
    assert len(asked) == 1
    page.reload()  # of what has become the same link
    expect(page.locator("#seed")).to_have_value("17")
    expect(page.locator(".run:visible .node").first).to_be_visible()
    assert len(asked) == 1


def test_back_and_forward_show_each_request_with_its_text_and_run_nothing(visit: Visit) -> None:
    page = visit.go(place(strategies=[{"kind": "sample"}], sampling={"temperature": 2.0}, max_tokens=60))
    asked = _completions(page)
    texts: dict[str, str] = {}
    for seed in ("1", "2"):
        page.locator("#seed").fill(seed)
        visit.run()
        texts[seed] = visit.written()
    assert texts["1"] != texts["2"]
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#panel-compare")).to_be_visible()

    def shown(seed: str) -> None:
        expect(page.locator("#seed")).to_have_value(seed)
        expect(page.locator(".run:visible")).to_have_count(1)
        assert visit.written() == texts[seed]

    page.go_back()
    shown("2")
    page.go_back()
    shown("1")
    page.go_forward()
    shown("2")
    page.go_back()
    page.go_back()  # the link that the page was opened by, which was never run as it is
    expect(page.locator("#seed")).to_have_value("5")
    expect(page.locator(".placeholder:visible")).to_contain_text("Press Run")
    assert len(asked) == 2


def test_two_runs_from_the_front_page_are_two_entries_of_the_history(visit: Visit) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    page.locator(".picker select").first.select_option("greedy")
    before = page.evaluate("history.length")
    visit.run()
    first = page.url
    page.locator("#seed").fill("9")
    visit.run()
    visit.run()  # the same again is no other entry
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    assert page.url == first
    expect(page.locator("#seed")).to_have_value("1")


def test_an_error_is_said_once_and_where_it_belongs(visit: Visit) -> None:
    page = visit.go(place())
    shown = page.locator("[role=alert]:visible, .field-error:visible")
    page.locator("#prompt").fill("Kites are 7. " * 200)
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#prompt")).to_have_attribute("aria-invalid", "true")
    expect(shown).to_have_count(1)
    page.locator("#prompt").fill(PROMPT)
    page.locator("#max-tokens").fill("100000000000")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#max-tokens")).to_have_attribute("aria-invalid", "true")
    expect(shown).to_have_count(1)
    page.locator("#max-tokens").fill("")
    visit.forgive("status of 400")

    def gone(route: Route) -> None:
        route.abort("connectionreset")

    page.route("**/v1/completions", gone)
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".run:visible [role=alert]")).to_contain_text("cannot be reached")
    expect(shown).to_have_count(1)
    visit.forgive("ERR_CONNECTION_RESET")
    page.unroute("**/v1/completions")
    visit.run()
    expect(shown).to_have_count(0)


def test_a_colour_means_the_same_value_in_every_run(visit: Visit, server: Server) -> None:
    signals = httpx2.get(f"{server.url}/v1/signals").json()["data"]
    (quantiles,) = (each["quantiles"] for each in signals if each["name"] == "entropy")
    assert len(quantiles) == 101
    assert quantiles == sorted(quantiles)
    page = visit.go(place(strategies=[{"kind": "sample"}], max_tokens=100))
    legend = page.locator(".legend").inner_text()
    levels: list[int] = []
    for temperature in ("0.2", "3"):
        page.locator(".quartet input").first.fill(temperature)
        visit.run()
        assert page.locator(".legend").inner_text() == legend
        assert f"{quantiles[-1]:.2f} nats" in legend
        for value, level in visit.heats("entropy"):
            exact = 9 * value / quantiles[-1]
            assert abs(min(exact, 8.5) - (level + 0.5)) <= 0.54  # values are shown rounded
            levels.append(level)
    assert {min(levels), max(levels)} == {0, 8}


def test_the_graph_shows_the_value_that_was_written_where_it_follows_from_a_wrong_one(visit: Visit) -> None:
    prompt = "Masks are 7. Kites are 3 more than masks. Boats are 2 times kites. How many boats?"
    text = (
        "Masks are 7. Kites are 3 more than masks = 7 + 3 = 9. Boats are 2 times kites = 2 * 9 = 7. Answer: 7"
    )
    live = [{"type": "token", "index": 0, "branch": "0", "position": 0, "token": text, "token_id": 1}]
    chunks = [
        {"choices": [], "live": live},
        {"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    head = {"content-type": "text/event-stream"}
    visit.page.route("**/v1/completions", lambda route: route.fulfill(status=200, headers=head, body=body))
    page = visit.go(place(prompt=prompt))
    page.get_by_role("button", name="Run").click()
    visit.wait_until_done()
    names = page.locator(".run:visible .node .name").all_text_contents()
    assert sorted(names) == ["boats = 7 ≠ 9", "kites ✗", "masks = 7 ✓"]  # 2 * 10 is 9 modulo 11
    expect(page.locator(".node.carried")).to_have_count(1)
    expect(page.locator(".graph:visible li", has_text="boats")).to_contain_text("right is 9")


def test_the_forms_have_every_sampler_and_nothing_else(visit: Visit) -> None:
    """What a request has besides, such as its deadline, is no sampler, and an arm has it not."""
    written = {"logit_bias", "samplers", "dry_sequence_breakers"}  # over REST
    wanted = {name.replace("_", " ") for name in SamplingFields.model_fields.keys() - written}
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    samplers = page.locator("details", has=page.locator("summary", has_text="All other samplers"))
    shown = _labels([page.locator(".setup .quartet"), samplers])
    assert sorted(shown) == sorted(wanted)
    page.get_by_role("tab", name="Compare").click()
    arm = page.locator(".arm").first.locator("details", has=page.locator("summary", has_text="Sampling"))
    assert sorted(_labels([arm])) == sorted(wanted)


def _labels(places: list[Locator]) -> list[str]:
    """What the fields there are called, without their ranges."""
    word = "[...label.childNodes].find(node => node.nodeType === Node.TEXT_NODE).data"
    words = f"labels => labels.map(label => {word})"
    return [each for place in places for each in place.locator("label").evaluate_all(words)]


def test_arms_can_be_added_up_to_what_the_server_takes(visit: Visit, server: Server) -> None:
    schemas = httpx2.get(f"{server.url}/openapi.json").json()["components"]["schemas"]
    most = schemas["ComparisonSpec"]["properties"]["arms"]["maxItems"]
    page = visit.go("#compare")
    add = page.get_by_role("button", name="Add an arm")
    while add.is_enabled():
        add.click()
    expect(page.locator(".arm")).to_have_count(most)
    expect(page.locator(".builder")).to_contain_text(f"at most {most} arms")
    page.get_by_role("button", name="Remove this arm").last.click()
    expect(add).to_be_enabled()


def test_end_forced_tokens_and_warnings_are_shown(visit: Visit, server: Server) -> None:
    end = httpx2.get(f"{server.url}/v1/models").json()["data"][0]["end_token_id"]
    tokens = [
        {"token": "Answer:", "token_id": 1, "logprob": -30.6, "forced": True, "signals": {"entropy": 1.2}},
        {"token": " 7", "token_id": 2, "logprob": -9999.0, "signals": {"entropy": 0.1, "surprisal": None}},
        {"token": "bytes:\\xe2\\x82", "token_id": 3, "logprob": -0.1, "signals": {"entropy": 0.1}},
        {"token": "bytes:\\xac", "token_id": 4, "logprob": -0.1, "signals": {"entropy": 0.1}},
        {"token": "", "token_id": end, "logprob": -0.2, "signals": {"entropy": 0.6}},
    ]
    live = [
        {"type": "token", "index": 0, "branch": "0", "position": position, **token}
        for position, token in enumerate(tokens)
    ]
    choice = {"index": 0, "text": "", "finish_reason": "stop", "stop_reason": "abstain", "events": []}
    chunks = [
        {"choices": [], "live": live, "warnings": ["max_tokens was cut from 256 to 200"]},
        {"choices": [choice]},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    head = {"content-type": "text/event-stream"}
    visit.page.route("**/v1/completions", lambda route: route.fulfill(status=200, headers=head, body=body))
    page = visit.go(place())
    page.get_by_role("button", name="Run").click()  # it is over before anybody could see it running
    visit.wait_until_done()
    shown = page.locator(".run:visible .token")
    expect(shown).to_have_count(5)
    assert [text.rstrip("✗") for text in shown.all_inner_texts()] == [
        "Answer:",
        " 7",
        "\\xe2\\x82",
        "€",
        "end",
    ]
    expect(shown.first).to_have_class(re.compile("forced"))
    expect(shown.last).to_have_attribute("aria-label", re.compile("end of the text, entropy 0.600"))
    expect(shown.last).to_have_attribute("data-heat", re.compile("[1-8]"))
    expect(page.locator(".run:visible .status")).to_contain_text("declined to answer")
    expect(page.locator(".run:visible .warnings li")).to_have_text(["max_tokens was cut from 256 to 200"])
    shown.nth(1).focus()
    expect(page.locator(".inspector:visible")).to_contain_text("surprisal\N{EN DASH}")
    page.get_by_label("Colour by").select_option("surprisal")
    expect(shown.nth(1)).not_to_have_attribute("data-heat", re.compile(""))
    page.unroute("**/v1/completions")
    visit.run()
    expect(page.locator(".run:visible .warnings")).to_be_hidden()
