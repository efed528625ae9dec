"""A server of several models, as clients see it."""

import shutil
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from openai import NotFoundError, OpenAI

from app.commands.compare_remote import Remote, RemoteError
from models.weight_files import weight_bytes
from tests.app.api.server import Server, running_server, server_here


@pytest.fixture(scope="module")
def several(
    checkpoint_folder: Path, corpus_checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """Three models, of which two may be loaded at a time; only `worldly` has a corpus."""
    plain = tmp_path_factory.mktemp("models") / "plain"
    shutil.copytree(checkpoint_folder, plain)
    (plain / "chat_template.jinja").unlink(missing_ok=True)
    flags = ("--model", f"worldly={corpus_checkpoint_folder}", "--model", f"org/plain={plain}")
    room = ("--max-model-bytes", str(weight_bytes(checkpoint_folder) * 2))
    with running_server(checkpoint_folder, (*flags, *room)) as running:
        yield running


@pytest.fixture
def asking(several: Server) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=several.url, timeout=60) as client:
        yield client


def complete(asking: httpx2.Client, **given: object) -> httpx2.Response:
    return asking.post("/v1/completions", json={"prompt": "a", "max_tokens": 2, "seed": 1, **given})


def test_the_model_of_a_request_picks(asking: httpx2.Client) -> None:
    assert complete(asking).json()["model"] == "tiny"
    for name in ("worldly", "org/plain", "tiny"):
        answer = complete(asking, model=name)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == name
        assert asking.get(f"/v1/models/{name}").json()["loaded"]


def test_two_fit_and_the_first_is_always_among_them(asking: httpx2.Client) -> None:
    for name in ("worldly", "org/plain", "worldly"):
        complete(asking, model=name)
        listed = asking.get("/v1/models").json()["data"]
        assert [each["id"] for each in listed] == ["tiny", "worldly", "org/plain"]
        assert {each["id"] for each in listed if each["loaded"]} == {"tiny", name}
        assert [each["default"] for each in listed] == [True, False, False]


def test_what_each_can_do(asking: httpx2.Client) -> None:
    for name in ("worldly", "org/plain"):
        complete(asking, model=name)
    models = {each["id"]: each for each in asking.get("/v1/models").json()["data"]}
    assert models["worldly"]["card"]["corpus"]["name"] == "igsm", "known, though it is not loaded"
    for model in models.values():
        assert model["context_length"] == 128
        assert (model["device"], model["dtype"], model["probes"]) == ("cpu", "float32", [])
        assert model["kernel"] == "torch"
        assert model["calibrated"] is False
    assert models["org/plain"]["chat"] is False


def test_a_chat_with_one_that_has_no_template_is_refused_by_its_name(asking: httpx2.Client) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "model": "org/plain"}
    refused = asking.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "no_chat_template"


def test_an_unknown_model_is_not_found_anywhere(asking: httpx2.Client, several: Server) -> None:
    answers = [complete(asking, model="other")]
    answers += [asking.post("/v1/score", json={"input": "a", "model": "other"})]
    answers += [asking.post("/v1/problems/check", json={"prompt": "a", "completion": "b", "model": "other"})]
    answers += [
        asking.get(f"/v1/{route}?model=other") for route in ("strategies", "signals", "probes", "problems")
    ]
    answers += [asking.get("/v1/models/other")]
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert "'tiny', 'worldly', 'org/plain'" in error["message"]
    with OpenAI(base_url=f"{several.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(NotFoundError) as told:
            client.completions.create(model="other", prompt="a")
        assert told.value.code == "model_not_found"


def test_catalogues_are_those_of_the_model_that_is_named(asking: httpx2.Client) -> None:
    assert asking.get("/v1/problems?count=1").json()["error"]["code"] == "no_corpus"
    drawn = asking.get("/v1/problems?count=1&model=worldly").json()["data"]
    checked = asking.post(
        "/v1/problems/check",
        json={"model": "worldly", "prompt": drawn[0]["prompt"], "completion": drawn[0]["solution"]},
    )
    assert checked.json()["correct"]
    assert asking.get("/v1/signals?model=worldly").json()["data"]
    assert asking.get("/v1/probes?model=worldly").json()["data"] == []
    assert asking.get("/v1/strategies?model=worldly").json()["data"]


def test_every_model_has_metrics_of_its_own(asking: httpx2.Client) -> None:
    complete(asking, model="worldly")
    scraped = asking.get("/metrics").text
    assert 'demur_model_open{model="tiny"} 1.0' in scraped
    assert 'demur_model_open{model="worldly"} 1.0' in scraped
    assert 'demur_model_open{model="org/plain"} 0.0' in scraped
    assert 'demur_generated_tokens_total{model="worldly"}' in scraped
    assert 'demur_batch_size_bucket{le="1",model="worldly"}' in scraped


def test_a_model_stays_while_it_is_being_read(asking: httpx2.Client) -> None:
    body = {"prompt": "a", "max_tokens": 60, "stream": True, "model": "worldly", "ignore_eos": True}
    with asking.stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        metrics = asking.get("/metrics").text
        assert answer.status_code == 200
        rest = list(lines)
    assert rest[-1] == "" or rest[-2] == "data: [DONE]" or rest[-1] == "data: [DONE]"
    assert 'demur_model_loans{model="worldly"}' in metrics


def test_a_broken_model_says_so_and_one_that_is_slow_to_load_is_waited_for_as_long_as_asked(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    for name in ("broken", "slow"):
        shutil.copytree(checkpoint_folder, tmp_path / name)
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"none")
    named = tuple(f"{name}={tmp_path / name}" for name in ("broken", "slow"))
    with (
        server_here(checkpoint_folder, model=named) as here,
        httpx2.Client(base_url=here.url, timeout=60) as asking,
    ):
        assert asking.get("/v1/models/broken").json()["state"] == "not_loaded"
        for _ in range(2):
            answer = complete(asking, model="broken")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
            assert "model.safetensors is damaged" in answer.json()["error"]["message"]
            assert "it is tried again after" in answer.json()["error"]["message"]
            assert 1 <= int(answer.headers["retry-after"]) <= 10
        told = asking.get("/v1/models/broken").json()
        assert (told["state"], told["loaded"]) == ("failed", False)
        assert "model.safetensors is damaged" in told["error"]
        assert str(tmp_path) not in told["error"]
        arms = [{"name": "a", "strategy": {"kind": "greedy"}, "model": "broken"}]
        problems = {"source": "given", "items": [{"prompt": "a"}]}
        refused = asking.post("/v1/compare", json={"arms": arms, "problems": problems})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        sent: list[httpx2.Request] = []
        body = {"model": "broken", "prompt": "a"}
        with (
            httpx2.Client(base_url=here.url, timeout=60, event_hooks={"request": [sent.append]}) as http,
            pytest.raises(RemoteError, match="is damaged"),
        ):
            Remote(http, here.url).call("POST", "/v1/completions", json=body)
        assert len(sent) == 1, "waiting would not help"

        late = complete(asking, model="slow", timeout=0.001)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert "'slow' was not loaded after 0.001 s" in late.json()["error"]["message"]
        assert complete(asking, model="slow").status_code == 200
        loaded = asking.get("/v1/models/slow").json()
        assert (loaded["state"], loaded["error"]) == ("loaded", None)
        assert complete(asking, model="slow", timeout=1e9).status_code == 400
