"""What every path says about its methods, and what every answer carries."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.methods import METHODS, SERVED
from app.api.metrics import Metrics
from app.main import create_app
from app.settings import Settings
from tests.app.api.comparing import spec, submit
from tests.app.api.server import Server
from tests.app.api.wire import get, talk

PATHS = sorted(create_app(Settings()).openapi()["paths"])
EXAMPLES = {"{name}": "tiny", "{id}": "cmp-0"}
OTHERS = ["/", "/docs", "/openapi.json", "/web/js/main.js"]


def filled(path: str) -> str:
    for name, value in EXAMPLES.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize("path", [*map(filled, PATHS), *OTHERS])
def test_a_path_tells_its_methods_and_takes_no_other(http: httpx2.Client, path: str) -> None:
    told = http.options(path)
    assert (told.status_code, told.content) == (204, b"")
    allowed = told.headers["allow"].split(", ")
    assert {"OPTIONS"} < set(allowed) <= set(SERVED) <= set(METHODS)
    assert ("HEAD" in allowed) == ("GET" in allowed)
    for method in (*METHODS, "FOO"):
        if method in ("CONNECT", *allowed):
            continue
        refused = http.request(method, path)
        assert refused.status_code == 405, method
        assert refused.headers["allow"] == told.headers["allow"]
        if method == "HEAD":
            continue
        assert refused.json()["error"]["code"] == "method_not_allowed"
        assert all(each in refused.json()["error"]["message"] for each in allowed)
    for method in allowed:
        assert http.request(method, path).status_code != 405


@pytest.mark.parametrize("path", [*map(filled, PATHS), *OTHERS])
def test_head_is_get_without_its_body(http: httpx2.Client, path: str) -> None:
    if "GET" not in http.options(path).headers["allow"]:
        return
    full, head = http.get(path), http.head(path)
    assert head.status_code == full.status_code
    assert head.content == b""
    differing = {"date", "x-request-id"} | ({"content-length"} if path == "/metrics" else set())
    assert {k: v for k, v in head.headers.items() if k not in differing} == {
        k: v for k, v in full.headers.items() if k not in differing
    }


def test_head_of_a_stream_ends(http: httpx2.Client, corpus: httpx2.Client) -> None:
    head = corpus.head(f"/v1/compare/{submit(corpus, spec(200))}/events")
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert head.content == b""
    assert http.head("/nothing").status_code == 404
    assert http.options("/nothing").status_code == 404


def test_every_answer_forbids_guessing_its_type(server: Server, narrow_server: Server) -> None:
    json = {"prompt": "a", "max_tokens": 2}
    key = {"authorization": "Bearer secret"}
    large = {"prompt": "a" * 3000}
    answers = [
        httpx2.get(f"{server.url}/docs"),
        httpx2.get(f"{server.url}/openapi.json"),
        httpx2.get(f"{server.url}/metrics"),
        httpx2.get(f"{server.url}/nothing"),
        httpx2.put(f"{server.url}/docs"),
        httpx2.options(f"{server.url}/docs"),
        httpx2.head(f"{server.url}/docs"),
        httpx2.get(f"{server.url}/docs", headers={"host": "evil.example"}),
        httpx2.post(f"{server.url}/v1/completions", json=json),
        httpx2.post(f"{server.url}/v1/completions", json=json | {"stream": True}),
        httpx2.post(f"{server.url}/v1/completions", json={}),
        httpx2.post(f"{narrow_server.url}/v1/completions", json=json),
        httpx2.post(f"{narrow_server.url}/v1/completions", json=large, headers=key),
        httpx2.options(
            f"{narrow_server.url}/v1/completions",
            headers={"origin": "https://example.org", "access-control-request-method": "POST"},
        ),
    ]
    statuses = [200, 200, 200, 404, 405, 204, 200, 421, 200, 200, 400, 401, 413, 200]
    assert [answer.status_code for answer in answers] == statuses
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_of_a_key_is_written_as_one_likes(narrow_server: Server, scheme: str) -> None:
    def status(authorization: str) -> int:
        url = f"{narrow_server.url}/v1/models"
        return httpx2.get(url, headers={"authorization": authorization}).status_code

    assert status(f"{scheme} secret") == 200
    assert status(f"{scheme}   secret") == 200
    for wrong in (
        "secret",
        f"{scheme}",
        f"{scheme}secret",
        f"{scheme} Secret",
        f"{scheme} secret x",
        "Basic secret",
    ):
        assert status(wrong) == 401, wrong


def series(text: str) -> int:
    return sum(not line.startswith("#") for line in text.splitlines())


@given(
    st.lists(
        st.tuples(
            st.text(max_size=8), st.sampled_from(["/v1/completions", "unmatched"]), st.integers(100, 599)
        )
    )
)
def test_no_number_of_invented_methods_makes_more_than_one_more_label(
    requests: list[tuple[str, str, int]],
) -> None:
    metrics = Metrics()
    for method, route, status in requests:
        metrics.observe_request(method, route, status, 0.1)
    seen = {(method if method in METHODS else "other", route, status) for method, route, status in requests}
    assert metrics.render().decode().count("demur_http_requests_total{") == len(seen)


def test_hostile_requests_do_not_make_the_metrics_grow(server: Server) -> None:
    def send(start: int) -> int:
        requests = [
            f"M{number} /{'v1/completions' if number % 3 else number} HTTP/1.1\r\nhost: localhost\r\n"
            f"x-request-id: r{number}\r\nauthorization: Bearer {number}\r\nx-forwarded-for: 1.2.3.4"
            for number in range(start, start + 300)
        ]
        paths = [f"GET /web/{n} HTTP/1.1\r\nhost: localhost" for n in range(start, start + 100)]
        paths += [f"GET /v1/models/m{n} HTTP/1.1\r\nhost: localhost" for n in range(start, start + 100)]
        paths += [f"GET /v1/compare/c{n} HTTP/1.1\r\nhost: h{n}.example" for n in range(start, start + 100)]
        data = "".join(f"{each}\r\n\r\n" for each in requests + paths).encode()
        heard = talk(server.url, data + get("/health/live", b"connection: close"))
        assert len(heard.statuses) == 601
        return series(httpx2.get(f"{server.url}/metrics").text)

    once = send(0)
    assert send(1000) == send(2000) == once
