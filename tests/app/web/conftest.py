"""A browser, and a server with the committed checkpoint behind the page."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from app.settings import EMBEDDED_CHECKPOINT
from tests.app.api.server import Server, running_server
from tests.app.web.browser import FLAGS, WAIT_MS, Visit, visiting


# Not for the session: Playwright's event loop would be found running by the asyncio tests of other packages.
@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """Chromium as Debian has it, without a window."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(
            "the page is tested in Chromium, which is not installed (Debian: apt-get install chromium)"
        )
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server with the committed checkpoint and its probes."""
    folder: Path = tmp_path_factory.mktemp("comparisons")
    with running_server(EMBEDDED_CHECKPOINT, ("--comparisons", str(folder))) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, server: Server) -> Generator[Visit]:
    """A desktop's window, not yet at any page; light, since the browser says so."""
    with visiting(
        browser, server.url, viewport={"width": 1400, "height": 900}, color_scheme="light"
    ) as visit:
        yield visit
