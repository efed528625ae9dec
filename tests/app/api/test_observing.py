"""What a server tells of the requests that it answers: metrics, a line in the log, a span."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Generator
from math import inf, nan
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from app.api.drift import Spread, calibrated_spread, drift
from app.api.generation_metrics import GenerationMetrics
from app.api.metrics import Metrics
from app.api.middleware import RequestContext
from app.api.request_record import record_in
from app.api.streaming import EventStream
from app.api.tracing import telemetry
from app.decoding.core.types import Token
from app.main import create_app
from app.settings import EMBEDDED_CHECKPOINT, EMBEDDED_PROBES, Settings, SettingsError
from models import checkpoint
from probes.store import load_all
from tests.app.api.server import Here, server_here
from tests.app.api.test_live import RETRY
from tests.app.api.wire import connect, post

PROMPT = "Boats are 3 times kites. Kites are 7. How many boats?"
BODY: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 12, "ignore_eos": True, "seed": 3}


@pytest.fixture(scope="module")
def here(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Here]:
    with server_here(checkpoint_folder, comparisons=tmp_path_factory.mktemp("c") / "kept") as running:
        yield running


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    """Until the end of a test: a line may come after its answer."""
    caplog.set_level(logging.INFO, "app.requests")


@pytest.fixture
def http(here: Here) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=here.url, timeout=60) as client:
        yield client


def samples(http: httpx2.Client) -> dict[str, float]:
    """Every sample by its name and, in braces, its labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(http.get("/metrics").text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def lines(caplog: pytest.LogCaptureFixture, count: int) -> list[dict[str, Any]]:
    """The log's lines of so many requests, which come when the answer is out: the client may be first."""
    while True:
        found = [vars(record) for record in list(caplog.records) if record.name == "app.requests"]
        if len(found) >= count:
            assert len(found) == count
            return found
        time.sleep(0.01)


def test_generations_are_counted_by_vllms_names(http: httpx2.Client) -> None:
    before = samples(http)
    http.post("/v1/completions", json=BODY | {"n": 2, "signals": ["entropy"]})
    after = samples(http)

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown("demur_request_success_total{finished_reason=length}") == 2
    assert grown("demur_request_success_total{finished_reason=stop}") == 0
    assert grown("demur_e2e_request_latency_seconds_count") == 1
    assert grown("demur_time_to_first_token_seconds_count") == 1
    assert grown("demur_inter_token_latency_seconds_count") == 0, "nobody is told of tokens one by one"
    assert grown("demur_generation_tokens_total") == 24
    assert grown("demur_token_entropy_nats_count") == 24
    assert grown("demur_token_entropy_nats_sum") > 0
    assert grown("demur_rewinds_total") == grown("demur_abstentions_total") == 0
    assert after["demur_num_requests_running"] == after["demur_num_requests_waiting"] == 0
    assert after["demur_kv_cache_usage_perc"] == 0


def test_gaps_between_tokens_are_those_of_each_streamed_text(http: httpx2.Client) -> None:
    before = samples(http)
    http.post("/v1/completions", json=BODY | {"n": 2, "stream": True})
    http.post("/v1/completions", json=BODY | {"prompt": [PROMPT, "a"], "stream": True})
    name = "demur_inter_token_latency_seconds_count"
    assert samples(http)[name] - before.get(name, 0) == 4 * (12 - 1)


def test_entropies_are_counted_by_the_bounds_that_they_do_not_exceed(http: httpx2.Client) -> None:
    before = samples(http)
    answer = http.post("/v1/completions", json=BODY | {"signals": ["entropy"]}).json()
    after = samples(http)
    entropies = [row["entropy"] for row in answer["choices"][0]["signals"]]
    for bound in ("0.5", "3.0", "4.0", "6.0", "+Inf"):
        name = f"demur_token_entropy_nats_bucket{{le={bound}}}"
        assert after[name] - before.get(name, 0) == sum(each <= float(bound) for each in entropies), bound


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_has_one_line_with_what_it_was_and_took(
    http: httpx2.Client, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    before = samples(http)
    with caplog.at_level(logging.INFO, "app.requests"):
        body = BODY | {"strategy": RETRY, "max_tokens": 20, "stream": stream}
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        answer = http.post("/v1/completions", json=body | usage, headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    (line,) = lines(caplog, 1)
    assert (line["request_id"], line["status"], line["outcome"]) == ("mine-1", 200, "ok")
    assert (line["route"], line["model"], line["strategy"]) == ("/v1/completions", "tiny", "random_retry")
    assert line["kept_tokens"] == 20
    assert line["prompt_tokens"] > 0
    assert line["discarded_tokens"] > 0, "a coin of 0.6 at every word, with this seed"
    assert line["rewinds"] > 0
    assert 0 < line["first_token_seconds"] < line["seconds"]
    assert line["finish_reasons"] == "length:1"
    assert samples(http)["demur_rewinds_total"] - before["demur_rewinds_total"] == line["rewinds"]


def test_what_is_refused_or_not_there_has_a_line_too_and_health_has_none(
    http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "app.requests"):
        http.post("/v1/completions", json=BODY | {"temperature": -1})
        http.get("/nothing")
        http.get("/v1/models", headers={"host": "evil.example"})
        for route in ("/health/live", "/health/ready", "/metrics"):
            assert http.get(route).status_code == 200
    told = [(line["status"], line["outcome"], line["error"]) for line in lines(caplog, 3)]
    assert told == [
        (400, "refused", "out_of_range"),
        (404, "refused", "route_not_found"),
        (421, "refused", "host_not_allowed"),
    ]


def test_an_error_in_a_stream_has_the_requests_id_and_its_line_the_errors_code(
    http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    endless = BODY | {"stream": True, "max_tokens": 110, "timeout": 2}
    endless["strategy"] = {"kind": "self_consistency", "samples": 256, "stop": "never"}
    with caplog.at_level(logging.INFO, "app.requests"):
        text = http.post("/v1/completions", json=endless, headers={"x-request-id": "mine-2"}).text
    last = json.loads(text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert (last["error"]["code"], last["request_id"]) == ("deadline_exceeded", "mine-2")
    (line,) = lines(caplog, 1)
    assert (line["status"], line["outcome"], line["error"]) == (200, "broken_off", "deadline_exceeded")


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_drawn_for_a_client_that_has_left_counts(
    here: Here, http: httpx2.Client, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    endless = BODY | {"stream": stream, "max_tokens": 110}
    endless["strategy"] = {"kind": "self_consistency", "samples": 256, "stop": "never"}
    before = samples(http)["demur_generation_tokens_total"]
    with caplog.at_level(logging.INFO, "app.requests"):
        with connect(here.url) as sock:
            sock.sendall(post("/v1/completions", json.dumps(endless).encode()))
            while samples(http)["demur_generation_tokens_total"] == before:
                time.sleep(0.01)
        (line,) = lines(caplog, 1)
    assert (line["outcome"], line["kept_tokens"]) == ("client_gone", 0)
    assert 0 < line["discarded_tokens"] < 256 * 110


def test_a_stream_that_its_client_leaves_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[bool] = []

    async def leave() -> None:
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[list[str]]:
            yield ["{}"]
            await asyncio.Event().wait()

        async def send(message: Message) -> None:
            if message.get("body"):
                begun.set()

        async def receive() -> Message:
            await begun.wait()
            return {"type": "http.disconnect"}

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            stream = EventStream(endless(), record=record_in(scope), close=lambda: closed.append(True))
            await stream(scope, receive, send)

        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        await RequestContext(answer, Metrics())(scope | {"asgi": {"spec_version": "2.3"}}, receive, send)

    with caplog.at_level(logging.INFO, "app.requests"):
        asyncio.run(leave())
    (line,) = lines(caplog, 1)
    assert (line["status"], line["outcome"], line["error"]) == (200, "client_gone", "client_gone")
    assert closed


def test_a_number_that_is_none_spoils_no_sum() -> None:
    counted = GenerationMetrics()
    values = (0.5, nan, inf, 0.25)
    counted.text_ended("a", "stop", [Token(1, -1.0, {"probe:p": each}) for each in values], 0)
    scores = next(each for each in counted.collect() if each.name == "demur_probe_score")
    found = {sample.name: sample.value for sample in scores.samples if not sample.labels.get("le")}
    assert found == {"demur_probe_score_count": 2, "demur_probe_score_sum": 0.75}


def test_a_request_has_one_span_with_its_rewinds(checkpoint_folder: Path, tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    settings = Settings(checkpoint=checkpoint_folder, comparisons=tmp_path / "c", tracing=True)
    with TestClient(create_app(settings, provider), base_url="http://localhost") as http:
        while http.get("/health/ready").status_code != 200:
            pass
        body = BODY | {"strategy": RETRY, "max_tokens": 20, "stream": True}
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        http.post("/v1/completions", json=body, headers={"traceparent": parent, "x-request-id": "mine-3"})
        http.post("/v1/completions", json={})
    spans = kept.get_finished_spans()
    assert [span.name for span in spans] == ["POST /v1/completions"] * 2, "health is not traced"
    done, refused = spans
    assert done.parent is not None
    assert f"{done.parent.trace_id:032x}" in parent
    assert done.attributes is not None
    assert done.attributes["demur.request_id"] == "mine-3"
    assert done.attributes["demur.strategy"] == "random_retry"
    assert done.attributes["gen_ai.usage.output_tokens"] == 20
    rewinds = [event for event in done.events if event.name == "rewind"]
    assert rewinds
    assert sum(int(str(dict(event.attributes or {})["demur.discarded"])) for event in rewinds) > 0
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "missing_field"


@pytest.mark.parametrize("root", ["", "/demur"])
@pytest.mark.parametrize(
    ("path", "traced"), [("/health/live", False), ("/metrics", False), ("/v1/score", True), ("/", True)]
)
def test_who_asks_how_the_server_is_leaves_no_trace(root: str, path: str, traced: bool) -> None:
    exclude = telemetry(Settings()).get("exclude")
    assert exclude is not None
    assert exclude({"type": "http", "path": root + path, "root_path": root}) is not traced


def test_traces_are_refused_where_nothing_could_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("app.api.tracing.find_spec", find_nothing)
    with pytest.raises(SettingsError, match="extra `otel`"):
        create_app(Settings(tracing=True))


def test_drift_is_the_population_stability_index() -> None:
    spread = Spread((0.1, 0.5), (0.5, 0.3, 0.2))
    same = [0.05] * 500 + [0.1] * 300 + [0.7] * 200
    assert drift(spread, same) == pytest.approx(0)
    other = [0.05] * 200 + [0.3] * 300 + [0.5] * 500
    # (0.2 - 0.5) ln(0.2 / 0.5) + 0 + (0.5 - 0.2) ln(0.5 / 0.2)
    assert drift(spread, other) == pytest.approx(0.5497744391)
    assert drift(spread, other[:199]) is None
    assert drift(spread, [0.9] * 1000) == pytest.approx(8.5, abs=1), "an empty part is not infinitely far"


@pytest.mark.artifact
def test_every_embedded_probe_tells_how_its_scores_were_spread() -> None:
    loaded = checkpoint.load(EMBEDDED_CHECKPOINT)
    for stored in load_all(EMBEDDED_PROBES / EMBEDDED_CHECKPOINT.name, loaded):
        spread = calibrated_spread(stored.card)
        assert spread is not None, stored.card.name
        assert sum(spread.shares) == pytest.approx(1)
        assert list(spread.thresholds) == sorted(spread.thresholds)
        assert min(spread.shares) >= 0


def test_scored_texts_count_although_the_model_fails_on_them(
    here: Here, http: httpx2.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    serving = here.service.serving
    assert serving is not None
    monkeypatch.setattr(serving.engine.model, "extend", fail)
    with caplog.at_level(logging.INFO, "app.requests"):
        assert http.post("/v1/score", json={"input": [[1, 2, 3], [4, 5]]}).status_code == 500
        assert http.post("/v1/score", json={"input": "a", "signals": ["none"]}).status_code == 400
    failed, refused = lines(caplog, 2)
    assert (failed["prompt_tokens"], refused.get("prompt_tokens", 0)) == (5, 0)
