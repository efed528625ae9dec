"""Comparisons and a server that stops, is killed, or has no room: nothing that was found is lost."""

import os
import resource
import shutil
import signal
from pathlib import Path

import httpx2
import pytest

from tests.app.api.comparing import (
    outcomes,
    spec,
    submit,
    wait_for_outcomes,
    wait_until_over,
    without_times,
)
from tests.app.api.server import Server, running_server
from tests.app.api.test_bad_requests import error_of

COUNT = 100


def client(server: Server) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, timeout=60)


def flags(comparisons: Path) -> list[str]:
    return ["--comparisons", str(comparisons), "--drain-seconds", "0.2"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_comparison_goes_on_after_a_restart_as_if_nothing_had_been(
    corpus_checkpoint_folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    with running_server(corpus_checkpoint_folder, flags(tmp_path)) as server, client(server) as http:
        id, waiting = submit(http, spec(COUNT)), submit(http, spec(6))
        seen = wait_for_outcomes(http, id, 20)["done"]
        os.kill(server.process.pid or 0, how)
        server.process.join(60)
        assert "Traceback" not in server.log
    with running_server(corpus_checkpoint_folder, flags(tmp_path)) as server, client(server) as http:
        status = http.get(f"/v1/compare/{id}").json()
        assert status["status"] in ("queued", "running")
        assert seen <= status["done"] < 2 * COUNT
        assert wait_until_over(http, id)["done"] == 2 * COUNT
        assert wait_until_over(http, waiting)["status"] == "done"
        undisturbed = submit(http, spec(COUNT))
        wait_until_over(http, undisturbed)
        found = [outcomes(http, each) for each in (id, undisturbed)]
        assert without_times(found[0]) == without_times(found[1])
        reports = [http.get(f"/v1/compare/{each}/report.json").json() for each in (id, undisturbed)]
        for report in reports:
            for arm in report["arms"]:
                del arm["latency"]
        assert reports[0] == reports[1]
        assert "Traceback" not in server.log


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_full_disk_fails_the_comparison_and_not_the_server(
    corpus_checkpoint_folder: Path, tmp_path: Path
) -> None:
    with running_server(corpus_checkpoint_folder, flags(tmp_path)) as server, client(server) as http:
        # No file may grow beyond this; the kernel then fails writes in the middle, as on a full disk.
        limit = 30_000
        resource.prlimit(server.process.pid or 0, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        id = submit(http, spec(COUNT))
        status = wait_until_over(http, id)
        assert status["status"] == "failed"
        assert "outcomes.jsonl: File too large. Make room" in status["error"]
        kept = outcomes(http, id)
        assert 0 < len(kept) == status["done"] < 2 * COUNT
        assert http.post("/v1/completions", json={"prompt": "Kites", "max_tokens": 3}).status_code == 200

        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(server.process.pid or 0, resource.RLIMIT_FSIZE, unlimited)
        assert http.post(f"/v1/compare/{id}/resume").status_code == 202
        status = wait_until_over(http, id)
        assert (status["status"], status["error"]) == ("done", None)
        assert outcomes(http, id)[: len(kept)] == kept
        assert "Traceback" not in server.log


def test_a_folder_that_cannot_be_used_stops_comparisons_only(
    corpus_checkpoint_folder: Path, corpus_server: Server, comparisons: Path
) -> None:
    with client(corpus_server) as http:
        id = submit(http, spec(6))
        wait_until_over(http, id)
    with running_server(corpus_checkpoint_folder, flags(comparisons)) as server, client(server) as http:
        for answer in (
            http.post("/v1/compare", json=spec(6)),
            http.get("/v1/compare"),
            http.get(f"/v1/compare/{id}"),
        ):
            assert answer.status_code == 507
            error = error_of(answer)
            assert error["code"] == "storage_failed"
            assert "Another server" in error["message"]
            assert "DEMUR_COMPARISONS" in error["message"]
        assert http.post("/v1/completions", json={"prompt": "Kites", "max_tokens": 3}).status_code == 200
        assert "Traceback" not in server.log
    with client(corpus_server) as http:
        assert http.delete(f"/v1/compare/{id}").status_code == 200


def test_a_comparison_whose_folder_is_deleted_while_it_runs_fails_and_the_next_one_runs(
    corpus_server: Server, comparisons: Path
) -> None:
    with client(corpus_server) as http:
        id = submit(http, spec(COUNT))
        wait_for_outcomes(http, id, 4)
        shutil.rmtree(comparisons / id)
        status = wait_until_over(http, id)
        assert status["status"] == "failed"
        assert "was deleted, moved or replaced while the comparison ran" in status["error"]
        assert http.get(f"/v1/compare/{id}/results").status_code == 507
        other = submit(http, spec(6))
        assert wait_until_over(http, other)["status"] == "done"
        assert "Traceback" not in corpus_server.log
        for each in (id, other):
            assert http.delete(f"/v1/compare/{each}").status_code == 200


def test_what_is_damaged_is_listed_and_what_is_half_made_cleared_away(
    corpus_checkpoint_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    damaged = tmp_path / "kept" / "compare-damaged"
    damaged.mkdir(parents=True)
    (damaged / "state.json").write_text('{"status": "run')
    for half in (".making-compare-1", ".dropping-compare-2"):
        (tmp_path / "kept" / half).mkdir()
    with running_server(corpus_checkpoint_folder, flags(tmp_path / "kept")) as server, client(server) as http:
        (status,) = http.get("/v1/compare").json()["data"]
        assert (status["id"], status["status"]) == ("compare-damaged", "damaged")
        assert "compare-damaged/state.json is damaged" in status["error"]
        assert "compare-damaged/state.json is damaged" in server.log
        assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [".lock", "compare-damaged"]
        assert http.get("/v1/compare/compare-damaged").json() == status
        assert wait_until_over(http, "compare-damaged") == status
        for path in ("results", "spec", "about", "problems", "latency", "report.json", "report.html"):
            answer = http.get(f"/v1/compare/compare-damaged/{path}")
            assert answer.status_code == 507
            assert status["error"][1:].rstrip(".") in error_of(answer)["message"]
        assert 'demur_comparisons{status="damaged"} 1.0' in http.get("/metrics").text
        assert http.delete("/v1/compare/compare-damaged").status_code == 200
        assert http.get("/v1/compare").json()["data"] == []
        assert 'demur_comparisons{status="damaged"} 0.0' in http.get("/metrics").text
    with (
        running_server(corpus_checkpoint_folder, flags(tmp_path / "file" / "kept")) as server,
        client(server) as http,
    ):
        answer = http.post("/v1/compare", json=spec(6))
        assert answer.status_code == 507
        assert "Not a directory" in error_of(answer)["message"]
        assert http.get("/v1/compare").json()["data"] == []
        assert "Traceback" not in server.log
