"""The parts of the page that know no document, called in the browser that has to run them."""

import itertools
import json
import math
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from tests.app.api.server import Server
from tests.app.web.browser import visiting

pytestmark = pytest.mark.artifact

PROMPT = (
    "Masks are 7. Magnets are 10 times masks. Candles are knots plus magnets. Knots are 3. How many candles?"
)
STRATEGIES: list[dict[str, Any]] = [
    {"kind": "random_retry", "probability": 0.5},
    {"kind": "beam", "width": 3},
    {"kind": "entropix"},
    {"kind": "probe_beam"},
    {"kind": "stochastic_backtracking"},
    {"kind": "self_consistency", "samples": 3},
]


def _call(page: Page, module: str, code: str, argument: Any = None) -> Any:
    return page.evaluate(
        f"async argument => {{ const m = await import('/web/js/{module}.js'); return ({code})(argument); }}",
        argument,
    )


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Generator[Page]:
    """A page of the server, for its modules; they keep nothing, so that one page does for all tests."""
    with visiting(browser, server.url) as visit:
        visit.page.goto(f"{visit.url}/#probes")
        yield visit.page


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy["kind"])
def test_what_is_put_together_from_a_stream_is_the_answer(
    page: Page, server: Server, strategy: dict[str, Any]
) -> None:
    body = {
        "prompt": PROMPT,
        "seed": 4,
        "strategy": strategy,
        "signals": ["entropy"],
        "stream": True,
        "stream_options": {"live": True, "include_usage": True},
    }
    with httpx2.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as stream:
        chunks = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: {")]
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    usage = next(chunk["usage"] for chunk in chunks if chunk["usage"])
    entropies = [
        row["entropy"]
        for chunk in chunks
        for choice in chunk["choices"]
        for row in choice.get("signals") or []
    ]
    items = [item for chunk in chunks for item in chunk.get("live") or []]
    found = _call(
        page,
        "live",
        """items => {
            const run = items.reduce(m.applyLive, m.newRun());
            const shown = m.shownTokens(run);
            const cut = scraps => scraps.flatMap(scrap => [...scrap.tokens, ...cut(scrap.scraps)]);
            const others = m.otherBranches(run).flatMap(({tokens}) => tokens);
            const branch = m.shownBranch(run);
            return {
                text: m.textOf(shown), count: shown.length,
                entropies: shown.map(token => token.signals.entropy),
                all: m.everyToken(run).size,
                seen: new Set([...branch.tokens, ...cut(branch.scraps), ...others]).size,
            };
        }""",
        items,
    )
    assert found["text"] == text
    assert found["count"] == len(entropies) <= usage["completion_tokens"]  # which counts the end token too
    assert found["entropies"] == pytest.approx(entropies, abs=1e-4)
    # Nothing that was written is lost to sight.
    assert found["seen"] == found["all"]
    assert found["all"] >= usage["completion_tokens"]


def test_a_state_survives_the_address(page: Page) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(-(2**53) + 1, 2**53 - 1))
    def survives(prompt: str, seed: int) -> None:
        state = {"prompt": prompt, "seed": seed}
        read = _call(page, "state", "state => m.readHash(m.writeHash(state))", state)
        assert read["request"] == state
        assert read["tab"] == "play"

    survives()
    assert _call(page, "state", "() => m.readHash('#play/!')")["request"] is None
    assert _call(page, "state", "() => m.readHash('#probes/syntax')")["rest"] == "syntax"


def test_levels_rise_with_doubt_and_shares_are_not_rounded_away(page: Page) -> None:
    values = [number / 50 for number in range(51)]
    level = "([signal, values]) => values.map(value => m.levelOf(signal, value, [0, 1]))"
    rising = _call(page, "colour", level, [{"higher_means": "uncertain"}, values])
    assert rising == sorted(rising)
    assert set(rising) == set(range(9))
    assert _call(page, "colour", level, [{"higher_means": "certain"}, values]) == rising[::-1]
    shares = _call(
        page, "colour", "values => values.map(value => m.percent(value))", [0, 0.001, 0.5, 0.999, 1]
    )
    assert shares == ["0%", "<1%", "50%", ">99%", "100%"]


def test_the_scale_of_a_signal_depends_on_the_model_alone(page: Page, server: Server) -> None:
    signals = httpx2.get(f"{server.url}/v1/signals").json()["data"]
    scale = "([signal, vocabulary]) => m.scaleOf(signal, vocabulary)"
    for signal in signals:
        measured = _call(page, "scale", scale, [signal, 400])
        natural = _call(page, "scale", scale, [{**signal, "quantiles": None}, 400])
        flat = _call(page, "scale", scale, [{**signal, "quantiles": [0.0] * 101}, 400])
        assert flat == natural  # a calibration that says nothing
        if signal["unit"] == "probability":
            assert (measured["low"], measured["high"]) == (natural["low"], natural["high"]) == (0, 1)
            continue
        quantiles = signal["quantiles"]
        certain = signal["higher_means"] == "certain"
        ends = (quantiles[0], quantiles[50]) if certain else (0, quantiles[100])
        assert (measured["low"], measured["high"]) == ends
        for vocabulary in (2, 12, 400, 50_257):
            ends = _call(page, "scale", scale, [{**signal, "quantiles": None}, vocabulary])
            assert ends["low"] < ends["high"]
    entropy = _call(page, "scale", scale, [{"name": "entropy", "unit": "nats"}, 50_257])
    assert entropy["high"] == pytest.approx(math.log(50_257))
    assert not entropy["open"]  # no entropy is larger


def test_bytes_of_a_character_that_several_tokens_write_become_that_character(page: Page) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.data())
    def together(text: str, data: st.DataObject) -> None:
        content = text.encode()
        cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=6)) | {0, len(content)})
        tokens = [{"token": _as_token(content[a:b])} for a, b in itertools.pairwise(cuts)]
        texts = _call(page, "live", "tokens => m.textsOf(tokens)", tokens)
        assert len(texts) == len(tokens)
        assert "".join(texts) == text

    together()


def _as_token(content: bytes) -> str:
    """A token's text as the server writes it."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_of_doubt_are_in_order_of_lightness_and_letters_stay_readable(page: Page, theme: str) -> None:
    colours = page.evaluate(
        """theme => {
            document.documentElement.dataset.theme = theme;
            const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const style = getComputedStyle(document.documentElement);
            const names = ['--surface', ...Array.from({length: 8}, (_, i) => `--heat-${i + 1}`), '--ink'];
            return names.map(name => {
                pen.fillStyle = style.getPropertyValue(name);
                pen.fillRect(0, 0, 1, 1);
                return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
            });
        }""",
        theme,
    )
    *levels, ink = [_luminance(colour) for colour in colours]
    assert levels == sorted(levels, reverse=theme == "light")
    for level in levels:
        assert (max(level, ink) + 0.05) / (min(level, ink) + 0.05) >= 4.5


def _luminance(rgb: list[int]) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_answer_says_what_it_cost_and_how_it_ended(page: Page) -> None:
    said = _call(
        page,
        "answer",
        """() => {
            const answer = m.newAnswer({prompt: 'a'});
            const token = (position, signals) =>
                ({type: 'token', index: 0, branch: '0', position, token: 'x', token_id: 1, signals});
            const cut = {type: 'rollback', index: 0, branch: '0', position: 1, rule: 'retry', detail: {}};
            const said = [m.statusOf(m.newAnswer()), m.isBegun(answer), m.statusOf(answer)];
            const live = [token(0, {entropy: 1}), token(1), {...token(2), index: 1}, cut];
            m.take(answer, {live, choices: []}, 1);
            said.push(m.isBegun(answer), m.statusOf(answer), m.statusOf({...answer, ending: 'stopped'}));
            const usage = {completion_tokens: 3, completion_tokens_details: {discarded_tokens: 7}};
            const choice = {finish_reason: 'stop', stop_reason: 'abstain'};
            m.take(answer, {usage, choices: [{finish_reason: null}, choice]}, 2.5);
            return [...said, m.statusOf(answer), m.writtenText(answer)];
        }""",
    )
    assert said == [
        "Not started.",
        False,
        "0 tokens kept · 0 discarded · writing…",
        True,
        "1 token kept · 1 discarded · writing…",
        "1 token kept · 1 discarded · stopped",
        "3 tokens kept · 7 discarded · 2.5 s · declined to answer",
        "x",
    ]


def test_the_most_doubtful_token_and_the_axes_follow_the_signal(page: Page) -> None:
    signals = [
        {"name": "entropy"},
        {"name": "confidence", "higher_means": "certain"},
        {"name": "probe:step_error"},
    ]
    tokens = [{"signals": {"entropy": 0.5, "confidence": 2}}, {"signals": {"entropy": 0.7, "confidence": 9}}]
    tokens.append({"signals": {}})
    doubtful = "([tokens, signal]) => m.mostDoubtful(tokens, signal)"
    assert [_call(page, "answer", doubtful, [tokens, signal]) for signal in signals[:2]] == [1, 0]
    assert _call(page, "answer", doubtful, [[], signals[0]]) == -1
    axes = "([signals, chosen]) => { const {left, right} = m.axesOf(signals, chosen); return [left, right]; }"
    entropy, confidence, probe = (
        {**signal, "sparse": signal["name"].startswith("probe:")} for signal in signals
    )
    assert _call(page, "answer", axes, [signals, signals[1]]) == [confidence, probe]
    assert _call(page, "answer", axes, [signals, signals[2]]) == [entropy, probe]
    assert _call(page, "answer", axes, [signals[:1], signals[0]]) == [entropy, None]


def test_the_checker_is_asked_once_at_a_time_about_the_newest_text(page: Page) -> None:
    asked, found = _call(
        page,
        "check",
        """async () => {
            const asked = [];
            const check = m.checker((prompt, text) => new Promise((resolve) => asked.push({text, resolve})));
            const step = {start: 0, end: 15, verdict: 'correct'};
            const reply = (more = {}) =>
                asked.at(-1).resolve({steps: [step], problem_error: null, graph: {}, ...more});
            const found = [];
            const first = check.look('p', 'Kites are 7 = 7', false);
            found.push(check.found, await check.look('p', 'Kites are 7 = 7. B', false));  // busy
            reply();
            found.push(await first, check.found.steps[0].written, check.knows('Kites are 7 = 7'));
            found.push(await check.look('p', 'Kites are 7 = 7. Bo', false));  // within a step
            const whole = check.look('p', 'Kites are 7 = 7. Bo', true);
            check.begin(check.graph());  // run again meanwhile
            reply();
            found.push(await whole, check.found.steps.length, check.knows('Kites are 7 = 7. Bo'));
            const other = check.look('p', 'a', false);
            reply({steps: [], problem_error: 'no problem'});
            found.push(await other, await check.look('p', 'b', true), check.knows('b'));
            return [asked.map(({text}) => text), found];
        }""",
    )
    assert asked == ["Kites are 7 = 7", "Kites are 7 = 7. Bo", "a"]
    assert found == [None, False, True, 7, True, False, False, 0, False, True, False, True]


def test_a_verdict_names_what_is_wrong_first(page: Page) -> None:
    def verdict(**fields: Any) -> Any:
        steps = [{"verdict": "correct", "detail": "a"}, {"verdict": "arithmetic", "detail": "b"}]
        whole = {"correct": False, "answer_correct": False, "answer": 4, "expected": 5, "steps": steps}
        return _call(page, "check", "check => m.verdictOf(check)", {**whole, **fields})

    assert verdict(correct=True, steps=[]) == {"right": True, "text": "✓ right", "why": ""}
    assert verdict(answer_correct=True)["text"] == "✗ answer right, a step is not"
    assert verdict() == {"right": False, "text": "✗ wrong: 4, not 5", "why": "b"}
    assert verdict(answer=None)["text"] == "✗ wrong"
    tokens = [{"token": text} for text in ("Kites", " are 7", ".", " Boats")]
    steps = [{"start": 0, "end": 11}, {"start": 13, "end": 30}]
    at = "([steps, tokens]) => tokens.map((_, index) => m.stepAt(steps, tokens, index)?.end ?? null)"
    assert _call(page, "check", at, [steps, tokens]) == [11, 11, 11, 30]
