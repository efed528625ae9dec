"""What /v1/compare refuses, and what it says then."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.app.api.comparing import ARMS, spec
from tests.app.api.server import Server
from tests.app.api.test_bad_requests import error_of


def bad_specs() -> Iterator[tuple[Mapping[str, Any], str | None, str]]:
    """Changes to a good spec, the field to blame, and what the message has to say."""
    greedy = {"kind": "greedy"}
    yield {"arms": []}, "arms", "1 to 32 arms"
    yield {"arms": None}, "arms", "1 to 32 arms"
    yield {"arms": [{"name": "a"}]}, "arms[0].strategy", "missing"
    yield {"arms": [{"name": "a b", "strategy": greedy}]}, "arms[0].name", "a b"
    yield {"arms": [{"name": "a", "strategy": greedy}] * 2}, "arms", "2 times"
    yield {"arms": [{"name": "a", "strategy": {"kind": "best"}}]}, "arms[0].strategy", "best"
    yield {"arms": [{"name": "a", "strategy": greedy, "temperature": -1}]}, "arms[0].temperature", "-1"
    yield {"arms": [{"name": "a", "strategy": greedy, "logit_bias": {"999999": 1}}]}, None, "'a'"
    probe = {"kind": "retry_upon_regret"}  # reads a probe that this server has not
    yield {"arms": [ARMS[0], {"name": "p", "strategy": probe}]}, "arms[1].strategy", "'p'"
    yield {"baseline": "nobody"}, "baseline", "greedy, warm"
    yield {"signals": ["doubt"]}, "signals", "doubt"
    yield {"max_tokens": 0}, "max_tokens", "1 or more"
    yield {"seed": -1}, "seed", "0 to 2^32"
    yield {"name": "../../etc"}, "name", "letters"
    yield {"problems": {"source": "corpus", "ops": [1, 3], "count": 0}}, "problems.count", "equal to 1"
    yield {"problems": {"source": "corpus", "ops": [1, 3], "count": 10_001}}, "problems.count", "10000"
    yield {"problems": {"source": "corpus", "ops": [3, 1], "count": 9}}, "problems.ops", "smallest"
    yield {"problems": {"source": "corpus", "ops": [1, 64], "count": 640}}, "problems.ops", "op 1 to 9"
    yield {"problems": {"source": "given", "items": []}}, "problems.items", "1 item"
    yield {"problems": {"source": "given", "items": [{"prompt": ""}]}}, "problems.items[0].prompt", "1 char"
    yield {"problems": {"source": "given", "items": [{"prompt": "a " * 200}]}}, "problems", "problem '0'"
    yield {"problems": {"source": "web"}}, "problems", "web"
    yield {"problem": {}}, "problem", "unknown field"


@pytest.mark.parametrize(("change", "param", "said"), [*bad_specs()])
def test_what_cannot_be_run_is_refused_at_once(
    corpus: httpx2.Client, change: Mapping[str, Any], param: str | None, said: str
) -> None:
    answer = corpus.post("/v1/compare", json=spec(6) | dict(change))
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    if param is not None:
        assert error["param"] == param
    assert said in error["message"]
    assert corpus.get("/v1/compare").json()["data"] == []


def test_a_model_without_a_corpus_has_no_problems_to_compare_on(http: httpx2.Client) -> None:
    error = error_of(http.post("/v1/compare", json=spec(6)))
    assert error["param"] == "problems.source"
    assert "'given'" in error["message"]


def test_a_large_spec_is_refused_unread(narrow_server: Server) -> None:
    headers = {"authorization": "Bearer secret"}
    with httpx2.Client(base_url=narrow_server.url, headers=headers, timeout=60) as http:
        answer = http.post("/v1/compare", json=spec(6, name="a" * 3000))
        assert answer.status_code == 413
        assert error_of(answer)["code"] == "body_too_large"
        assert http.get("/v1/compare", headers={"authorization": ""}).status_code == 401


@pytest.mark.parametrize("id", ["none", "compare-0", "..", "%2e%2e", "..%2f..%2fetc", "%00", "a" * 5000])
def test_an_unknown_id_is_not_found(corpus: httpx2.Client, id: str) -> None:
    for method, what in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/resume"),
        ("GET", "/spec"),
        ("GET", "/results"),
        ("GET", "/events"),
        ("GET", "/report.json"),
        ("GET", "/report.html"),
    ):
        answer = corpus.request(method, f"/v1/compare/{id}{what}")
        assert answer.status_code in (404, 405), answer.text
        error_of(answer)


def test_a_server_runs_no_judge_of_a_client(corpus: httpx2.Client, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    scoring = {"kind": "command", "command": ["touch", str(touched)]}
    problems = {"source": "given", "items": [{"prompt": "a"}], "scoring": scoring}
    answer = corpus.post("/v1/compare", json={"arms": ARMS, "problems": problems})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "problems.scoring"
    assert "a server never runs commands" in answer.json()["error"]["message"]
    assert not touched.exists()
