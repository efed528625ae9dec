"""`demur compare --url` against a real server."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.commands.compare_remote import run_there
from app.commands.compare_run import Finished
from app.compare.spec import parse_spec
from tests.app.api.comparing import outcomes, spec, wait_for_outcomes, wait_until_over, without_times
from tests.app.api.server import Server, running_server

ARMS = ["-s", "greedy", "-s", 'warm=sample:{"temperature": 0.7}']
SMALL = ["--split", "train", "--ops", "1-3", "--max-tokens", "24", "--latency-problems", "1"]


def demur(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


def options(server: Server, out: Path, count: int) -> list[str]:
    return ["--url", server.url, "--out", str(out), *ARMS, *SMALL, "--count", str(count)]


def test_a_server_runs_it_and_all_it_finds_is_fetched(corpus_server: Server, tmp_path: Path) -> None:
    result = demur(*options(corpus_server, tmp_path, 12), "--fail-under", "greedy=1.0")
    assert result.exit_code == 1, result.output
    assert "greedy" in result.output
    with httpx2.Client(base_url=corpus_server.url, timeout=60) as http:
        (status,) = http.get("/v1/compare").json()["data"]
        assert status["done"] == 24
        lines = (tmp_path / "outcomes.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == outcomes(http, status["id"])
        assert len((tmp_path / "latency.jsonl").read_text().splitlines()) == 2
        assert len((tmp_path / "problems.jsonl").read_text().splitlines()) == 12
        for name in ("report.json", "report.html"):
            assert (tmp_path / name).read_bytes() == http.get(f"/v1/compare/{status['id']}/{name}").content
        # The same command again is about the same comparison.
        again = demur(*options(corpus_server, tmp_path, 12))
        assert again.exit_code == 0, again.output
        assert len(http.get("/v1/compare").json()["data"]) == 1
        other = demur(*options(corpus_server, tmp_path, 15))
        assert other.exit_code == 2
        assert "another spec" in " ".join(other.output.split())
        http.delete(f"/v1/compare/{status['id']}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ops", "1-60", "--count", "600"], "op 1 to 9"),
        (["--signals", "doubt"], "There is no signal 'doubt'"),
        (["--device", "cpu"], "the server at"),
        (["--resume"], "is not of a comparison on a server"),
    ],
)
def test_what_the_server_refuses_is_said(
    corpus_server: Server, tmp_path: Path, arguments: Sequence[str], said: str
) -> None:
    result = demur(*options(corpus_server, tmp_path / "out", 6), *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_server_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    result = demur("--url", "http://127.0.0.1:9", "--out", str(tmp_path), *ARMS)
    assert result.exit_code == 1
    assert "http://127.0.0.1:9 cannot be reached" in " ".join(result.output.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stop_from_the_keyboard_cancels_it_and_resume_goes_on(
    corpus_server: Server, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", "from app.cli import main; main()", "compare"]
    process = subprocess.Popen(
        [*command, *options(corpus_server, tmp_path, 2000)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    with httpx2.Client(base_url=corpus_server.url, timeout=60) as http:
        (status,) = http.get("/v1/compare").json()["data"]
        id = status["id"]
        assert id in line
        wait_for_outcomes(http, id, 10)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == 130
        assert f"--out {tmp_path} --resume --url {corpus_server.url}" in " ".join(said.split())
        assert wait_until_over(http, id)["status"] == "cancelled"
        done = http.get(f"/v1/compare/{id}").json()["done"]
        with subprocess.Popen(
            [*command, "--out", str(tmp_path), "--resume", "--url", corpus_server.url], stderr=subprocess.PIPE
        ) as resumed:
            wait_for_outcomes_of_resumed(http, id, done)
            resumed.send_signal(signal.SIGINT)
        wait_until_over(http, id)
        http.delete(f"/v1/compare/{id}")


def wait_for_outcomes_of_resumed(http: httpx2.Client, id: str, done: int) -> None:
    """Wait until a cancelled comparison runs again and has more outcomes."""
    while http.get(f"/v1/compare/{id}").json()["status"] == "cancelled":
        threading.Event().wait(0.1)
    wait_for_outcomes(http, id, done + 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_and_started_again_is_waited_for(
    corpus_checkpoint_folder: Path, tmp_path: Path
) -> None:
    asked = parse_spec(spec(100))
    flags = ["--comparisons", str(tmp_path / "kept")]
    found: list[Finished] = []
    with running_server(corpus_checkpoint_folder, flags) as server:
        url, port = server.url, server.url.rpartition(":")[2]
        thread = threading.Thread(target=lambda: found.append(run_there(asked, tmp_path / "out", url)))
        thread.start()
        with httpx2.Client(base_url=url, timeout=60) as http:
            while not (listed := http.get("/v1/compare").json()["data"]):
                threading.Event().wait(0.05)
            wait_for_outcomes(http, listed[0]["id"], 20)
        server.process.kill()
        server.process.join(60)
    with running_server(corpus_checkpoint_folder, [*flags, "--port", port]):
        thread.join(300)
        (finished,) = found
        with httpx2.Client(base_url=url, timeout=60) as http:
            whole = outcomes(http, listed[0]["id"])
    assert finished.report.finished
    mine = [json.loads(line) for line in (tmp_path / "out" / "outcomes.jsonl").read_text().splitlines()]
    assert without_times(mine) == without_times(whole)
    assert len(mine) == 200
