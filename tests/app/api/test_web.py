"""The playground's files over HTTP; tests/app/web looks at the page in a browser."""

import re
from pathlib import Path

import httpx2
import pytest

import app
from tests.app.api.server import Server

WEB = Path(app.__file__).parent / "web"
SENT = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def test_every_file_is_sent_as_it_is_with_its_type(http: httpx2.Client) -> None:
    sent = 0
    for path in WEB.rglob("*"):
        if path.is_dir():
            continue
        answer = http.get(f"/web/{path.relative_to(WEB).as_posix()}")
        if path.suffix not in SENT:  # licences and notes
            assert answer.status_code == 404
            continue
        sent += 1
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"].split(";")[0] == SENT[path.suffix]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert sent > 20


def test_the_page_lets_nothing_in_but_its_own_files(http: httpx2.Client) -> None:
    page = http.get("/")
    assert page.content == (WEB / "index.html").read_bytes()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"(src|href)=.(https?:)?//", page.text)
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page.text)
    for found in re.findall(r'(?:src|href)="(web/[^"]+)"', page.text):
        assert http.get(f"/{found}").status_code == 200


def test_a_file_that_has_not_changed_is_not_sent_again(http: httpx2.Client) -> None:
    first = http.get("/web/js/main.js")
    again = http.get("/web/js/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache"
    head = http.head("/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/web/", "/web/nothing.js", "/web/../main.py", "/web/%2e%2e/main.py", "/web//js"]
)
def test_what_is_no_file_of_the_page_is_an_error_of_ours(http: httpx2.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "route_not_found"
    assert http.post("/v1/nothing").status_code == 404


def test_the_page_is_open_where_the_interface_wants_a_key(narrow_server: Server) -> None:
    assert httpx2.get(f"{narrow_server.url}/", timeout=60).status_code == 200
    assert httpx2.get(f"{narrow_server.url}/web/js/main.js", timeout=60).status_code == 200
    assert httpx2.get(f"{narrow_server.url}/v1/models", timeout=60).status_code == 401


def test_what_is_vendored_stands_in_its_list_with_its_licence() -> None:
    vendor = WEB / "vendor"
    listed = (vendor / "README.md").read_text()
    for path in vendor.rglob("*"):
        name = path.relative_to(vendor).as_posix()
        assert path.is_dir() or name == "README.md" or f"`{name}`" in listed
