"""Probes over HTTP: a real server, its scores against their definition, and what it refuses."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app as cli
from app.main import create_app
from app.settings import Settings
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from probes.reference_scores import score_text
from tests.app.api.checkpoints import write_random_checkpoint
from tests.app.api.server import START_SECONDS, Server, running_server, starting_server
from tests.probes.tiny import every_family, store_probes

CLOSING, MARKERS, TOKENS = range(1, 400, 4), range(2, 400, 4), range(3, 400, 4)
PROBES = every_family(CLOSING, MARKERS, TOKENS, d_model=32, last=2)
ALL = [f"probe:{probe.name}" for probe in PROBES]


@pytest.fixture(scope="module")
def loaded(checkpoint_folder: Path) -> LoadedCheckpoint:
    return checkpoint.load(checkpoint_folder)


@pytest.fixture(scope="module")
def probes_folder(tmp_path_factory: pytest.TempPathFactory, loaded: LoadedCheckpoint) -> Path:
    folder = tmp_path_factory.mktemp("probes") / "tiny"
    store_probes(folder, PROBES, loaded, [2, 3, 4, 1, 7, 6, 9, 5, 3, 2, 4, 1, 8, 7, 12, 9])
    return folder


@pytest.fixture(scope="module")
def probing_server(checkpoint_folder: Path, probes_folder: Path) -> Generator[Server]:
    with running_server(checkpoint_folder, ("--probes", str(probes_folder))) as running:
        yield running


@pytest.fixture
def probing(probing_server: Server) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=probing_server.url, timeout=60) as client:
        yield client


def body(index: int) -> dict[str, Any]:
    return {
        "prompt": [(index * 31 + i * 7) % 390 + 1 for i in range(3 + index % 20)],
        "temperature": 0 if index % 4 == 0 else 1.1,
        "seed": index,
        "max_tokens": 20 + index,
        "ignore_eos": True,
        "signals": [*ALL, "entropy"] if index % 3 else ["margin", ALL[index % len(ALL)]],
    }


def write(http: httpx2.Client, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The signals of a completion's tokens."""
    answer = http.post("/v1/completions", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["signals"]


def require_defined_scores(
    loaded: LoadedCheckpoint, fields: dict[str, Any], tokens: list[dict[str, Any]]
) -> None:
    wanted = [probe for probe in PROBES if f"probe:{probe.name}" in fields["signals"]]
    ids = [token["token_id"] for token in tokens]
    expected = score_text(loaded.model, fields["prompt"], ids, wanted)
    for token, scores in zip(tokens, expected, strict=True):
        served = {name: value for name, value in token.items() if name.startswith("probe:")}
        assert served == pytest.approx({f"probe:{name}": value for name, value in scores.items()}, abs=1e-4)


def test_scores_alone_and_among_32_others_are_those_of_the_definition(
    probing: httpx2.Client, loaded: LoadedCheckpoint
) -> None:
    bodies = [body(index) for index in range(33)]
    with ThreadPoolExecutor(33) as pool:
        together = list(pool.map(partial(write, probing), bodies))
    for fields, tokens in zip(bodies, together, strict=True):
        require_defined_scores(loaded, fields, tokens)
    for index in (1, 4):
        alone = write(probing, bodies[index])
        require_defined_scores(loaded, bodies[index], alone)
        assert [token["token_id"] for token in alone] == [token["token_id"] for token in together[index]]


def test_a_stream_and_a_chat_bring_the_same_keys_and_no_empty_ones(probing: httpx2.Client) -> None:
    fields = body(5)
    whole = write(probing, fields)
    with probing.stream("POST", "/v1/completions", json={**fields, "stream": True}) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    chunks = [json.loads(piece)["choices"][0] for piece in data[:-1]]
    streamed = [token for chunk in chunks for token in chunk.get("signals") or []]
    assert [set(token) for token in streamed] == [set(token) for token in whole]
    assert len({frozenset(token) for token in whole}) > 3
    message = [{"role": "user", "content": "How many kites?"}]
    chat = probing.post(
        "/v1/chat/completions",
        json={
            "messages": message,
            "signals": ["probe:answer"],
            "max_tokens": 8,
            "ignore_eos": True,
            "seed": 2,
        },
    ).json()["choices"][0]["signals"]
    first = next(index for index, token in enumerate(chat) if token["token_id"] not in CLOSING)
    expected = [["token", "token_id"]] * 8
    expected[first] = ["probe:answer", "token", "token_id"]
    assert [sorted(token) for token in chat] == expected


def test_catalogues_say_what_there_is(probing: httpx2.Client, probes_folder: Path) -> None:
    listed = {item["name"]: item for item in probing.get("/v1/signals").json()["data"]}
    assert set(ALL) < set(listed)
    assert set(probing.get("/v1/signals").json()["value_schema"]["items"]["enum"]) == set(listed)
    linear = listed["probe:linear"]
    assert linear["unit"] == "probability"
    assert "nothing: its weights are random" in linear["description"]
    assert "the token that closes a step" in linear["description"]
    shown = probing.get("/v1/probes").json()["data"]
    assert [item["signal"] for item in shown] == sorted(ALL)
    for item in shown:
        assert item["card"] == json.loads((probes_folder / f"{item['name']}.json").read_text())


@pytest.mark.parametrize(
    ("route", "fields", "says"),
    [
        ("completions", {"prompt": "a", "signals": ["probe:liner"]}, "Did you mean 'probe:linear'?"),
        ("completions", {"prompt": "a", "signals": ["linear"]}, "there are entropy, varentropy"),
        ("completions", {"prompt": "a", "echo": True, "signals": ["probe:linear"]}, "without echo"),
        ("score", {"input": "How many kites?", "signals": ["probe:linear"]}, "while a completion is written"),
    ],
)
def test_what_cannot_be_read_is_refused(
    probing: httpx2.Client, route: str, fields: dict[str, Any], says: str
) -> None:
    answer = probing.post(f"/v1/{route}", json=fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "signals"
    assert says in answer.json()["error"]["message"]


def test_without_probes_there_are_none(http: httpx2.Client) -> None:
    assert http.get("/v1/probes").json() == {"object": "list", "data": []}
    answer = http.post("/v1/completions", json={"prompt": "a", "signals": ["probe:linear"]})
    assert "no signal 'probe:linear'" in answer.json()["error"]["message"]


def test_probes_of_another_checkpoint_keep_the_server_from_starting(
    tmp_path: Path, probes_folder: Path
) -> None:
    write_random_checkpoint(tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text(
        (tmp_path / "other" / "config.json").read_text() + "\n"  # the same to read, but not the same file
    )
    with starting_server(tmp_path / "other", ("--probes", str(probes_folder))) as ended:
        ended.process.join(START_SECONDS)
        assert ended.process.exitcode == 1
    assert "was fitted on another checkpoint than" in ended.log
    assert "config: the probe was fitted on" in ended.log
    assert "weights:" not in ended.log
    assert "--no-probes" in ended.log
    assert "Traceback" not in ended.log
    # Started as a factory, nobody can end the process, but everybody is told.
    app = create_app(Settings(checkpoint=tmp_path / "other", probes=probes_folder))
    with TestClient(app, base_url="http://localhost") as http:
        while http.get("/health/live").status_code == 200:
            pass
        assert "config: the probe was fitted on" in http.get("/health/ready").json()["detail"]


def test_generate_shows_probes_and_refuses_foreign_ones(
    checkpoint_folder: Path, probes_folder: Path, tmp_path: Path
) -> None:
    def generate(*arguments: str) -> Any:
        options = ["How many kites?", "--checkpoint", str(checkpoint_folder), "--max-tokens", "12"]
        options += ["--ignore-eos", "--seed", "1", *arguments]
        return CliRunner(env={"COLUMNS": "900"}).invoke(cli, ["generate", *options])

    shown = generate("--probes", str(probes_folder), "--signals", "all", "--json")
    assert shown.exit_code == 0, shown.output
    tokens = json.loads(shown.stdout)["choices"][0]["tokens"]
    assert all("probe:pooled_every" in token for token in tokens)
    # Tokens that close a step, but stand alone before the first one, are not the answer's beginning.
    first = next(index for index, token in enumerate(tokens) if token["token_id"] not in CLOSING)
    assert [index for index, token in enumerate(tokens) if "probe:answer" in token] == [first]
    table = generate("--probes", str(probes_folder), "--signals", "probe:answer,probe:every", "--table")
    assert table.exit_code == 2
    assert "no signal 'probe:every'" in table.stderr
    table = generate("--probes", str(probes_folder), "--signals", "probe:answer", "--table")
    assert "probe:answer (probability)" in table.stdout
    assert "no signal" in generate("--probes", str(probes_folder), "--no-probes", "--signals", ALL[0]).stderr
    (tmp_path / "net.json").write_text("{}")
    foreign = generate("--probes", str(tmp_path))
    assert foreign.exit_code == 2
    assert "net.json is no card of a probe" in foreign.stderr
