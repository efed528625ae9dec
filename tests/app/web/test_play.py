"""The play tab in a real browser, from opening the page to seeing a rewind and making it again."""

import json
import re
import shutil
import subprocess
import sys

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.app.api.server import Server
from tests.app.web.browser import PROMPT, Visit, place, visiting

pytestmark = pytest.mark.artifact

# Every step is regretted at first, so that there is something to see, whatever the weights.
REGRET = {
    "kind": "retry_upon_regret",
    "triggers": [{"signal": "probe:step_error", "threshold": 0.0, "when": "above"}],
    "retry": {
        "per_step": 1,
        "per_answer": 2,
        "first": "request",
        "temperature": 1.0,
        "penalty": 4.0,
        "penalised_tokens": 1,
        "give_up": "keep_last",
    },
}


def test_the_whole_path_from_opening_the_page_to_a_rewind_and_its_link(
    visit: Visit, browser: Browser, server: Server
) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")  # one is drawn for whoever comes first
    expect(page.locator(".node").first).to_be_visible()
    assert page.locator(".node.right").count() == 0
    page.get_by_text("Parameters", exact=True).first.click()
    page.get_by_label("threshold").first.fill("0")
    visit.run()

    expect(page.locator(".scrap").first).to_contain_text("step_error")
    assert page.locator(".scrap .token").first.evaluate("e => getComputedStyle(e).textDecorationLine") == (
        "line-through"
    )
    page.get_by_text("The same request again").first.click()
    body = json.loads(page.locator(".snippet pre").first.inner_text().split("-d '", 1)[1].rstrip("'"))
    answer = httpx2.post(f"{server.url}/v1/completions", json=body, timeout=60).json()
    text, usage = answer["choices"][0]["text"], answer["usage"]
    assert visit.written() == text
    discarded = usage["completion_tokens_details"]["discarded_tokens"]
    assert discarded > 0
    expect(page.locator(".status").first).to_contain_text(
        f"{usage['completion_tokens']} tokens kept · {discarded} discarded"
    )

    check = httpx2.post(
        f"{server.url}/v1/problems/check", json={"prompt": body["prompt"], "completion": text}, timeout=60
    ).json()
    right = {step["quantity"] for step in check["steps"] if step["verdict"] == "correct"}
    shown = page.locator(".node.right .name").all_text_contents()
    assert {name.split(" = ")[0] for name in shown} == right
    assert page.locator(".mark").count() == len(check["steps"])

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url
    with visiting(browser, server.url) as fresh:
        fresh.go(link.removeprefix(server.url + "/"))
        fresh.run()
        assert fresh.written() == text
        assert fresh.cut() == visit.cut()


def test_curl_and_python_make_the_same_text(visit: Visit) -> None:
    prompt = PROMPT + ' It\'s "quoted" \\ λ'
    page = visit.go(place(prompt=prompt, strategies=[REGRET], sampling={"temperature": 0.5, "p_less": True}))
    expect(page.locator(".setup summary .said").last).to_have_text("p less true")
    visit.run()
    page.get_by_text("The same request again").first.click()
    curl, python = page.locator(".snippet pre").all_inner_texts()[:2]
    ran = subprocess.run(
        [sys.executable, "-c", python], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout == visit.written() + "\n"
    if shutil.which("curl"):
        answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True, timeout=120)
        assert json.loads(answer.stdout)["choices"][0]["text"] == visit.written()


def test_a_token_tells_all_by_mouse_keyboard_and_timeline(visit: Visit) -> None:
    page = visit.go(place(strategies=[REGRET]))
    visit.run()
    tokens = page.locator(".run:visible .tokens .token")
    inspector = page.locator(".run:visible .inspector")

    def named(number: int) -> re.Pattern[str]:
        return re.compile(
            "^" + re.escape((tokens.nth(number).get_attribute("aria-label") or "").split(", ")[0])
        )

    tokens.nth(1).hover()
    expect(inspector.locator("code")).to_have_text(named(1))
    for name in ("entropy", "varentropy", "Probes", "Alternatives"):
        expect(inspector).to_contain_text(name)
    shares = inspector.locator(".inspector-part").nth(2).locator(".amount").all_inner_texts()
    assert len(shares) == 5
    # One stop for Tab, arrows from there.
    assert page.locator(".run:visible .tokens .token[tabindex='0']").count() == 1
    tokens.nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(2)).to_be_focused()
    expect(inspector.locator("code")).to_have_text(named(2))
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    chart = page.locator(".run:visible .timeline .u-over").bounding_box()
    assert chart is not None
    page.mouse.move(chart["x"] + chart["width"] / 2, chart["y"] + 40)
    expect(page.locator(".run:visible .token.linked")).to_have_count(1)


def test_every_signal_colours_the_tokens_in_the_order_of_its_values(visit: Visit) -> None:
    page = visit.go(place(strategies=[REGRET]))
    visit.run()
    select = page.get_by_label("Colour by")
    for name in ("surprisal", "max_probability", "confidence"):
        select.select_option(name)
        page.locator(f'.tokens .token[aria-label*="{name} "]').first.wait_for()
        sign = 1 if name == "surprisal" else -1
        rows = sorted((sign * value, level) for value, level in visit.heats(name))
        assert len(rows) == page.locator(".tokens .token[data-heat]").count()
        levels = [level for _, level in rows]
        assert levels == sorted(levels)
        assert len(set(levels)) > 1


def test_two_strategies_beside_each_other(visit: Visit, server: Server) -> None:
    best = {"kind": "self_consistency", "samples": 3}
    page = visit.go(place(strategies=[{"kind": "greedy"}, best]))
    visit.run()
    expect(page.locator(".run:visible")).to_have_count(2)
    body = {"prompt": PROMPT, "seed": 5}
    for number, strategy in enumerate(({"kind": "greedy"}, best)):
        answer = httpx2.post(
            f"{server.url}/v1/completions", json={**body, "strategy": strategy}, timeout=60
        ).json()
        assert visit.written(number) == answer["choices"][0]["text"]
    expect(page.locator(".run:visible").nth(1).locator(".branch.dropped").first).to_be_visible()


def test_what_the_server_refuses_stands_at_its_field(visit: Visit) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    temperature = page.locator(".quartet input").first
    temperature.fill("1000")
    page.get_by_role("button", name="Run").click()
    expect(temperature).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".quartet .field-error").first).to_contain_text("1000")
    temperature.fill("1")
    page.get_by_text("Parameters", exact=True).first.click()
    page.get_by_label("per step").first.fill("999")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_label("per step").first).to_have_attribute("aria-invalid", "true")
    expect(temperature).not_to_have_attribute("aria-invalid", "true")
    visit.forgive("status of 400")


def test_stop_ends_the_writing(visit: Visit) -> None:
    long = {"kind": "self_consistency", "samples": 256, "stop": "never"}
    page = visit.go(place(strategies=[long]))
    page.get_by_role("button", name="Run").click()
    page.locator(".run .token").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".status").first).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()


def test_problems_are_drawn_or_typed(visit: Visit) -> None:
    page = visit.go()
    expect(page.locator("#prompt")).not_to_have_value("")
    first = page.locator("#prompt").input_value()
    page.locator("#op").fill("2")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("#drawn")).to_contain_text("2 steps")
    assert page.locator("#prompt").input_value() != first
    page.locator("#op").fill("99")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator(".setup .field-error:visible")).to_contain_text("99")
    visit.forgive("status of 400")
    page.locator("#prompt").fill("Kites are 7. Boats are 3 times kites. How many boats?")
    expect(page.locator(".run:visible .node")).to_have_count(2)
    page.locator("#prompt").fill("Once upon a time")
    expect(page.locator(".run:visible .graph .hint")).to_contain_text("Not a problem of the corpus")
