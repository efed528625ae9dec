"""Comparisons of a server whose arms name models: lent while they run, loaded again, or not there at all."""

import os
import shutil
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from models.weight_files import weight_bytes
from tests.app.api.comparing import (
    clear_away,
    outcomes,
    progress,
    submit,
    wait_for_outcomes,
    wait_until_over,
    without_times,
)
from tests.app.api.server import Server, running_server
from tests.app.api.test_bad_requests import error_of
from tests.models.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")

GREEDY: dict[str, Any] = {"name": "greedy", "strategy": {"kind": "greedy"}}
LLAMA: dict[str, Any] = {**GREEDY, "name": "llama", "model": "org/llama"}
THIRD: dict[str, Any] = {**GREEDY, "name": "third", "model": "third"}


def spec(*arms: dict[str, Any], count: int = 3, **fields: Any) -> dict[str, Any]:
    """Prompts with answers, for any model."""
    items = [{"prompt": f"Boats are {number}. How many?", "answer": str(number)} for number in range(count)]
    problems = {"source": "given", "items": items}
    return {"arms": arms, "problems": problems, "max_tokens": 8, "latency_problems": 0} | fields


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "llama"
    folder.mkdir()
    FAMILIES["llama"].write(folder)
    return folder


@pytest.fixture(scope="module")
def flags(corpus_checkpoint_folder: Path, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The default and two others, of which one at a time has room beside it."""
    third = tmp_path_factory.mktemp("models") / "third"
    shutil.copytree(corpus_checkpoint_folder, third)
    ours, theirs = weight_bytes(corpus_checkpoint_folder), weight_bytes(llama)
    named = ["--model", f"org/llama={llama}", "--model", f"third={third}"]
    return [*named, "--max-model-bytes", str(ours + max(ours, theirs)), "--max-queue-seconds", "0.2"]


@pytest.fixture(scope="module")
def several(
    corpus_checkpoint_folder: Path, flags: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    kept = ["--comparisons", str(tmp_path_factory.mktemp("kept"))]
    with running_server(corpus_checkpoint_folder, [*flags, *kept]) as running:
        yield running
    assert "Traceback" not in running.log


@pytest.fixture
def asking(several: Server) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=several.url, timeout=60) as client:
        yield client
        clear_away(client)


def test_arms_answer_as_their_models_do(asking: httpx2.Client) -> None:
    id = submit(asking, spec(GREEDY, LLAMA))
    assert wait_until_over(asking, id)["status"] == "done"
    for outcome in outcomes(asking, id):
        number = outcome["problem"]
        body = {"prompt": f"Boats are {number}. How many?", "max_tokens": 8, "temperature": 0}
        answer = asking.post(
            "/v1/completions", json=body | ({"model": "org/llama"} if outcome["arm"] == "llama" else {})
        ).json()
        assert outcome["text"] == answer["choices"][0]["text"]
        assert outcome["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    about = asking.get(f"/v1/compare/{id}/about").json()
    identities = {name: asking.get(f"/v1/models/{name}").json()["identity"] for name in ("tiny", "org/llama")}
    assert about["checkpoint"]["weights"] == identities["tiny"]["weights"]
    assert about["models"]["org/llama"]["checkpoint"]["weights"] == identities["org/llama"]["weights"]
    report = asking.get(f"/v1/compare/{id}/report.json").json()
    assert report["pairs"][0]["problems"] == 3, "paired by problem, whatever the models"
    assert [arm["model"] for arm in asking.get(f"/v1/compare/{id}/spec").json()["arms"]] == [
        None,
        "org/llama",
    ]


@pytest.mark.parametrize(
    ("arms", "status", "param", "said"),
    [
        ([GREEDY, {**LLAMA, "model": "none"}], 404, "arms[1].model", "'tiny', 'org/llama', 'third'"),
        ([{**LLAMA, "model": ""}], 400, "arms[0].model", "1 character"),
        ([{**LLAMA, "model": "x" * 129}], 400, "arms[0].model", "128 characters"),
        ([{**LLAMA, "model": 3}], 400, "arms[0].model", "3"),
        ([LLAMA, THIRD], 400, "arms", "DEMUR_MAX_MODEL_BYTES"),
        ([GREEDY, {**LLAMA, "strategy": {"kind": "probe_beam"}}], 400, "arms[1].strategy", "arm 'llama'"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(
    asking: httpx2.Client, arms: list[dict[str, Any]], status: int, param: str, said: str
) -> None:
    answer = asking.post("/v1/compare", json=spec(*arms))
    assert answer.status_code == status, answer.text
    assert error_of(answer)["param"] == param
    assert said in error_of(answer)["message"]
    assert asking.get("/v1/compare").json()["data"] == []


def test_a_model_that_a_run_needs_stays_and_others_wait_for_it(asking: httpx2.Client) -> None:
    id = submit(asking, spec(LLAMA, count=3000))
    wait_for_outcomes(asking, id, 1)
    refused = asking.post("/v1/completions", json={"prompt": "a", "max_tokens": 1, "model": "third"})
    assert refused.status_code == 429, refused.text
    asking.post(f"/v1/compare/{id}/cancel")
    assert wait_until_over(asking, id)["status"] == "cancelled"
    answer = asking.post("/v1/completions", json={"prompt": "a", "max_tokens": 1, "model": "third"})
    assert answer.status_code == 200, answer.text
    assert not asking.get("/v1/models/org/llama").json()["loaded"]
    assert asking.post(f"/v1/compare/{id}/resume").status_code == 202
    before = asking.get(f"/v1/compare/{id}").json()["done"]
    assert any(status["done"] > before for status in progress(asking, id)), "its model is loaded again"


def test_one_in_the_line_gets_its_model_loaded_again(asking: httpx2.Client) -> None:
    first, second = submit(asking, spec(GREEDY, count=400)), submit(asking, spec(LLAMA))
    answer = asking.post("/v1/completions", json={"prompt": "a", "max_tokens": 1, "model": "third"})
    assert answer.status_code == 200, answer.text
    assert wait_until_over(asking, first)["status"] == "done"
    assert wait_until_over(asking, second)["status"] == "done"


def test_one_whose_folder_is_deleted_while_it_waits_is_gone(asking: httpx2.Client) -> None:
    running, waiting = submit(asking, spec(LLAMA, count=3000)), submit(asking, spec(LLAMA, GREEDY))
    wait_for_outcomes(asking, running, 1)
    assert asking.delete(f"/v1/compare/{waiting}").status_code == 200
    assert asking.delete(f"/v1/compare/{running}").status_code == 409
    asking.post(f"/v1/compare/{running}/cancel")
    assert wait_until_over(asking, running)["status"] == "cancelled"
    assert asking.get(f"/v1/compare/{waiting}").status_code == 404


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_loses_nothing_and_a_model_that_is_not_served_any_more_is_said(
    corpus_checkpoint_folder: Path, flags: list[str], tmp_path: Path
) -> None:
    kept = ["--comparisons", str(tmp_path), "--drain-seconds", "0.2"]
    asked = spec(GREEDY, LLAMA, count=60)
    with (
        running_server(corpus_checkpoint_folder, [*flags, *kept]) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        id = submit(http, spec(GREEDY, LLAMA, count=3000))
        short = submit(http, asked)
        seen = wait_for_outcomes(http, id, 10)["done"]
        os.kill(server.process.pid or 0, signal.SIGKILL)
        server.process.join(60)
    with (
        running_server(corpus_checkpoint_folder, kept) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        for each in (id, short):
            status = wait_until_over(http, each)
            assert status["status"] == "failed"
            assert "arms[1].model is 'org/llama', which is not served here; use 'tiny'" in status["error"]
            assert status["done"] >= (seen if each == id else 0)
    with (
        running_server(corpus_checkpoint_folder, [*flags, *kept]) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        assert http.post(f"/v1/compare/{short}/resume").status_code == 202
        assert wait_until_over(http, short)["status"] == "done"
        undisturbed = submit(http, asked)
        wait_until_over(http, undisturbed)
        found = [without_times(outcomes(http, each)) for each in (short, undisturbed)]
        assert found[0] == found[1]
