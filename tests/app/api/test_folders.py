"""No answer tells where on the machine its files are; the log does."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from app.api.service import Service
from app.main import create_app
from app.settings import Settings
from tests.app.api.comparing import spec, submit, wait_until_over
from tests.app.api.server import running_server


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def damaged(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text("{")

    return damage


def a_folder_in_its_place(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").mkdir()


def not_there(folder: Path) -> None:
    shutil.rmtree(folder)


DAMAGED = ("config.json", "tokenizer.json", "model.safetensors", "calibration.json")
FAULTS = [no_config, no_weights, a_folder_in_its_place, not_there, *map(damaged, DAMAGED)]


@pytest.mark.parametrize("fault", FAULTS, ids=range(len(FAULTS)))
def test_a_checkpoint_that_cannot_be_loaded(
    corpus_checkpoint_folder: Path,
    tmp_path: Path,
    fault: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "my models" / "tiny"
    shutil.copytree(corpus_checkpoint_folder, folder)
    fault(folder)
    app = create_app(Settings(checkpoint=folder))
    service: Service = app.state.service
    with TestClient(app, base_url="http://localhost") as http:
        while service.failure is None and service.serving is None:
            time.sleep(0.01)
        assert service.failure
        answers = [http.get(path) for path in ("/health/live", "/health/ready", "/v1/models", "/v1/compare")]
        answers += [http.post("/v1/completions", json={"prompt": "a"})]
    for answer in answers:
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text
        assert "my models" not in answer.text
    assert str(tmp_path) in caplog.text


FILES = ("outcomes.jsonl", "about.json", "problems.jsonl", "latency.jsonl", "state.json", "spec.json")
VIEWS = (
    "",
    "/spec",
    "/about",
    "/problems",
    "/results",
    "/latency",
    "/report.json",
    "/report.html",
    "/events",
)


def test_comparisons_whose_folder_is_damaged(corpus_checkpoint_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "my runs" / "comparisons"
    with (
        running_server(corpus_checkpoint_folder, ["--comparisons", str(root)]) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        id = submit(http, spec(3))
        wait_until_over(http, id)
        for name in FILES:
            for path in root.rglob(name):
                path.write_text('{"a": 1}\n')
        answers = [http.get(f"/v1/compare/{id}{view}") for view in VIEWS]
        shutil.rmtree(root)
        root.write_text("in the way")
        answers += [http.post("/v1/compare", json=spec(3)), http.get("/v1/compare")]
        assert 507 in {answer.status_code for answer in answers}
        for answer in answers:
            for secret in (str(tmp_path), str(corpus_checkpoint_folder.parent), "my runs"):
                assert secret not in answer.text
        assert str(root) in server.log
