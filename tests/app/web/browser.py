"""A page in a real browser that may talk to its own server only, and what it complained of."""

import base64
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect

FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 30_000
PROMPT = (
    "Masks are 7. Magnets are 10 times masks. Candles are knots plus magnets. Knots are 3. How many candles?"
)


WIDTHS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1400, "height": 900}, "is_mobile": False},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True},
}
"""Of windows, as options of `visiting`."""


def place(**state: Any) -> str:
    """The address of a request, greedy unless told otherwise: base64url of its JSON, without padding."""
    whole = {
        "prompt": PROMPT,
        "seed": 5,
        "max_tokens": None,
        "sampling": {},
        "strategies": [{"kind": "greedy"}],
        "colour": "entropy",
    }
    text = json.dumps({**whole, **state})
    return "#play/" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass
class Visit:
    """An open page. Errors and warnings that it logs or throws are complaints; so are foreign requests."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list[str])

    def forgive(self, pattern: str) -> None:
        """Take back the complaints that a test has provoked; there must be one."""
        left = [complaint for complaint in self.complaints if not re.search(pattern, complaint)]
        assert len(left) < len(self.complaints), f"nothing like {pattern} in {self.complaints}"
        self.complaints[:] = left

    def go(self, place: str = "") -> Page:
        """Load the page at a place such as `#probes` and wait until the model is there."""
        self.page.goto(f"{self.url}/{place}")
        self.page.locator("[role=tabpanel]:visible > *").first.wait_for()
        return self.page

    def run(self) -> None:
        """Run the request of the play tab and wait until it has ended."""
        self._forget_states()
        self.page.get_by_role("button", name="Run", exact=False).first.click()
        self.wait_until_done()

    def _forget_states(self) -> None:
        """So that what is `done` is the next run, which may be over before it could be seen running."""
        self.page.evaluate("document.querySelectorAll('.run').forEach(run => delete run.dataset.state)")

    def wait_until_done(self) -> None:
        """Wait until no text is being written, and every step is judged or none can be."""
        self.page.locator(".run[data-state=done]").first.wait_for()
        expect(self.page.locator(".run:visible:not([data-state=done])")).to_have_count(0)
        expect(self.page.locator(".run:visible:not([data-judged=yes])")).to_have_count(0)

    def written(self, number: int = 0) -> str:
        """The text of a finished run, without what was taken back and without marks."""
        return self.page.evaluate(
            """number => [...document.querySelectorAll('.run')[number].querySelectorAll('.token')]
                .filter(token => !token.closest('.scrap, .branch'))
                .map(token => JSON.parse(token.ariaLabel.match(/^"(?:[^"\\\\]|\\\\.)*"/)[0])).join('')""",
            number,
        )

    def heats(self, signal: str) -> list[tuple[float, int]]:
        """A signal's value and level of colour, of every token that is coloured and names the value."""
        tokens: list[list[str]] = self.page.locator(".run:visible .tokens .token[data-heat]").evaluate_all(
            "tokens => tokens.map(token => [token.ariaLabel, token.dataset.heat])"
        )
        said = [(re.search(rf"{signal} [<>]?([\d.]+)", label), int(heat)) for label, heat in tokens]
        return [(float(value[1]), heat) for value, heat in said if value]

    def cut(self) -> list[str]:
        """What was taken back and stands in the text, struck through, with its reasons."""
        return self.page.locator(".run:visible .scrap").all_inner_texts()


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Generator[Visit]:
    """A fresh browser context with one page; at the end nothing may be left to complain of."""
    context = browser.new_context(reduced_motion="reduce", base_url=url, **options)
    context.set_default_timeout(WAIT_MS)
    visit = Visit(context.new_page(), url)

    # Heard, not routed: a route makes every request wait for this process, and a page is some fifty of them.
    def asked(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "blob:", "data:")):
            visit.complaints.append(f"asked for {request.url}")

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.complaints.append(f"{message.type}: {message.text}")

    def thrown(error: Error) -> None:
        visit.complaints.append(f"thrown: {error}")

    context.on("request", asked)
    context.on("console", said)
    visit.page.on("pageerror", thrown)
    try:
        yield visit
        assert not visit.complaints
    finally:
        context.close()
