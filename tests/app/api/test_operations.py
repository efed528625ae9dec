"""Catalogues, health, metrics, and faults of ours."""

import html
import re
import threading
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app import main
from app.decoding.core.signals import SIGNALS
from app.decoding.strategies import STRATEGIES
from app.main import create_app
from app.settings import Settings
from tests.app.api.server import Server


def test_model_shows_identity_and_card(http: httpx2.Client) -> None:
    model = http.get("/v1/models/tiny").json()
    assert model["card"] == {"corpus": "none: random weights"}
    assert {len(model["identity"][name]) for name in ("weights", "config", "tokenizer")} == {64}
    answer = http.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).json()
    assert answer["system_fingerprint"].removeprefix("fp_") in model["identity"]["weights"]


def test_strategies_and_signals_are_listed_with_schemas(http: httpx2.Client) -> None:
    strategies = http.get("/v1/strategies").json()["data"]
    assert [item["kind"] for item in strategies] == list(STRATEGIES)
    for item in strategies:
        assert item["summary"]
        assert item["params_schema"]["properties"]["kind"]["const"] == item["kind"]
        fields = {"prompt": "a", "max_tokens": 1, "strategy": {"kind": item["kind"]}}
        reply = http.post("/v1/completions", json=fields)
        # Some read a probe or a threshold of the checkpoint unless they are told; this server has neither.
        missing = ("no signal 'probe:", "no calibration.json")
        if reply.status_code == 200:
            assert item["unavailable"] is None
        else:
            assert item["unavailable"] == reply.json()["error"]["message"]
            assert any(what in item["unavailable"] for what in missing)
    assert 0 < sum(item["unavailable"] is None for item in strategies) < len(strategies)
    signals = http.get("/v1/signals").json()
    assert [item["name"] for item in signals["data"]] == list(SIGNALS)
    assert [item["quantiles"] for item in signals["data"]] == [None] * len(SIGNALS)  # nothing is calibrated
    assert signals["value_schema"]["items"]["enum"] == list(SIGNALS)


def test_openapi_names_every_route_and_both_bodies(http: httpx2.Client) -> None:
    document = http.get("/openapi.json").json()
    assert {
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/score",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/strategies",
        "/v1/signals",
        "/v1/probes",
        "/v1/findings",
        "/v1/problems",
        "/v1/problems/check",
        "/v1/problem_sets",
        "/v1/problem_sets/{name}",
        "/v1/compare",
        "/v1/compare/{id}",
        "/v1/compare/{id}/spec",
        "/v1/compare/{id}/about",
        "/v1/compare/{id}/problems",
        "/v1/compare/{id}/results",
        "/v1/compare/{id}/latency",
        "/v1/compare/{id}/events",
        "/v1/compare/{id}/cancel",
        "/v1/compare/{id}/resume",
        "/v1/compare/{id}/report.json",
        "/v1/compare/{id}/report.html",
        "/health/live",
        "/health/ready",
        "/metrics",
    } == set(document["paths"])
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
    for route in ("/v1/completions", "/v1/chat/completions"):
        answer = document["paths"][route]["post"]["responses"]["200"]["content"]
        assert set(answer) == {"application/json", "text/event-stream"}
    schemas = document["components"]["schemas"]
    for fields in (schemas["CompletionRequest"], schemas["ChatRequest"]):
        assert all(field.get("description") for field in fields["properties"].values())
        assert fields["properties"]["temperature"]["maximum"] == 100


def test_docs_show_every_route_and_field_and_load_nothing(http: httpx2.Client) -> None:
    document = http.get("/openapi.json").json()
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in document["paths"]:
        assert f" {path}</code>" in page.text
    for name, field in document["components"]["schemas"]["CompletionRequest"]["properties"].items():
        assert f"<code>{name}</code>" in page.text
        assert html.escape(field["description"]) in page.text
    assert not re.search(r"(src|href)=.(https?:)?//", page.text)
    assert "<script" not in page.text


def test_a_request_id_is_kept_if_it_is_one(http: httpx2.Client) -> None:
    assert http.get("/health/live", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for no_id in ("a b", "x" * 200, "<b>"):
        made = http.get("/health/live", headers={"x-request-id": no_id}).headers["x-request-id"]
        assert made.startswith("req-")


def test_cors_answers_the_allowed_origin_only(narrow_server: Server, server: Server) -> None:
    def preflight(url: str, origin: str) -> httpx2.Response:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        return httpx2.options(f"{url}/v1/completions", headers=headers, timeout=60)

    allowed = preflight(narrow_server.url, "https://example.org")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"
    assert "access-control-allow-origin" not in preflight(narrow_server.url, "https://evil.example").headers
    assert "access-control-allow-origin" not in preflight(server.url, "https://example.org").headers


def test_metrics_count_what_happens(http: httpx2.Client) -> None:
    def read() -> dict[str, float]:
        families = text_string_to_metric_families(http.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {
            sample.name + str(sorted(sample.labels.items())) if sample.labels else sample.name: sample.value
            for sample in samples
        }

    before = read()
    body = {"prompt": "How many kites?", "n": 2, "max_tokens": 5, "ignore_eos": True}
    usage = http.post("/v1/completions", json=body).json()["usage"]
    http.post("/v1/completions", json={"prompt": "a", "n": 0})
    after = read()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    route = "('method', 'POST'), ('route', '/v1/completions')"
    assert grown("demur_generated_tokens_total") == usage["completion_tokens"] == 10
    assert grown("demur_prompt_tokens_total") == usage["prompt_tokens"]
    assert grown("demur_discarded_tokens_total") == 0
    assert grown("demur_requests_finished_total") == 1
    assert grown(f"demur_http_requests_total[{route}, ('status', '200')]") == 1
    assert grown(f"demur_http_requests_total[{route}, ('status', '400')]") == 1
    assert grown("demur_http_request_seconds_count[('route', '/v1/completions')]") == 2
    assert grown("demur_time_to_first_token_seconds_count") == 1
    assert grown("demur_batch_size_sum") > 0
    assert after["demur_rows_in_use"] == 0
    assert after["demur_requests_waiting"] == 0
    assert after["demur_rows"] == 32


def test_not_ready_until_the_checkpoint_is_loaded(
    checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load, load = threading.Event(), main.start_engine

    def load_late(settings: Settings) -> object:
        assert may_load.wait(30)
        return load(settings)

    monkeypatch.setattr(main, "start_engine", load_late)
    with TestClient(create_app(Settings(checkpoint=checkpoint_folder)), base_url="http://localhost") as http:
        assert http.get("/health/live").status_code == 200
        assert http.get("/health/ready").status_code == 503
        assert http.get("/health/ready").json()["status"] == "loading"
        refused = http.post("/v1/completions", json={"prompt": "a"})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "not_ready"
        assert refused.headers["retry-after"]
        may_load.set()
        while http.get("/health/ready").status_code == 503:
            pass
        assert http.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


def test_a_checkpoint_that_cannot_be_loaded_is_not_alive(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with TestClient(create_app(Settings(checkpoint=tmp_path)), base_url="http://localhost") as http:
        while http.get("/health/live").status_code == 200:
            pass
        for route in ("/health/live", "/health/ready"):
            health = http.get(route)
            assert health.status_code == 503
            assert health.json()["status"] == "failed"
            assert "config.json is not JSON" in health.json()["detail"]


def test_a_fault_of_ours_is_logged_and_not_shown(
    checkpoint_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app: FastAPI = create_app(Settings(checkpoint=checkpoint_folder))

    @app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError("the secret detail")

    with TestClient(app, "http://localhost", raise_server_exceptions=False) as http:
        response = http.get("/fault")
    assert response.status_code == 500
    error = response.json()["error"]
    assert error["type"] == "server_error"
    assert error["code"] == "internal_error"
    assert response.headers["x-request-id"] in error["message"]
    assert "secret" not in response.text
    assert "the secret detail" in caplog.text
    assert response.headers["x-request-id"] in caplog.text
