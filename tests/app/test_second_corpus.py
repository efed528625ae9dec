"""A second corpus goes the whole way: pretrain, evaluate, calibrate, compare, label, serve, draw, check."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.compare.folder import read_outcomes
from models.files import read_json
from tests.app.api.server import server_here

SHAPE = (
    "--layers",
    "2",
    "--width",
    "32",
    "--heads",
    "2",
    "--context",
    "64",
    "--rows",
    "4",
    "--row-length",
    "32",
)
STEPS = ("--tokens", "0.0256", "--decay", "0.01", "--validate-every", "0.02", "--validate-problems", "2")


def demur(*arguments: object) -> str:
    """What the command prints; it must succeed."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 200 steps on sums, calibrated."""
    home = tmp_path_factory.mktemp("sums")
    corpus = (
        "--corpus",
        "sums",
        "--setting",
        "modulus=7",
        "--setting",
        "terms_max=3",
        "--setting",
        "ood_extra=1",
    )
    run = ("--run", home / "run", "--no-compile", "--threads", "1", "--device", "cpu")
    demur("pretrain", home / "sums", *corpus, *SHAPE, *STEPS, *run)
    calibrated = json.loads(
        demur("calibrate", "--checkpoint", home / "sums", "-n", "4", "--risk-problems", "4", "--json")
    )
    assert (calibrated["measurement"]["corpus"], calibrated["measurement"]["op_max"]) == ("sums", 3)
    assert calibrated["risk"]["scores"]["surprisal"]["tested"]["problems"] == 2
    return home / "sums"


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[httpx2.Client]:
    kept = tmp_path_factory.mktemp("comparisons")
    with (
        server_here(folder, comparisons=kept, no_probes=True) as here,
        httpx2.Client(base_url=here.url, timeout=60) as client,
    ):
        yield client


def test_the_card_names_the_corpus_and_its_settings(folder: Path) -> None:
    card = read_json(folder / "card.json")
    assert card["corpus"] == {"name": "sums", "modulus": 7, "terms_max": 3, "ood_extra": 1}
    assert card["training"]["steps"] == 200
    assert card["training"]["config"]["corpus"] == card["corpus"]


def test_evaluation_covers_its_sizes_and_counts_its_mistakes(folder: Path) -> None:
    report = json.loads(demur("evaluate", "--checkpoint", folder, "-n", "6", "--json"))
    assert [each["op"] for each in report["ops"]] == [2, 3, 4]
    kinds = {kind for each in report["ops"] for kind in each["first_errors"]}
    assert kinds <= {"incomplete", "syntax", "superfluous", "terms", "arithmetic"}
    assert "length" in demur("evaluate", "--checkpoint", folder, "-n", "1", "--op-max", "2")


def test_labels_need_no_ability_that_it_lacks(folder: Path, tmp_path: Path) -> None:
    demur("probe", "label", "--checkpoint", folder, "--run", tmp_path, "--scale", "0.002", "--workers", "1")
    lines = [line for path in (tmp_path / "labels").glob("*.jsonl") for line in path.read_text().splitlines()]
    labels: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert {each["part"] for each in labels} == {"fit", "validation", "calibration", "test"}
    assert not any("about" in each for each in labels)
    assert {each.get("domain", "id") for each in labels} == {"id", "ood"}


def test_problems_are_drawn_and_checked_over_http(client: httpx2.Client) -> None:
    listed = client.get("/v1/problems", params={"size": 4, "count": 3}).json()
    assert listed["sizes"] == {
        **{"name": "length", "label": "terms", "meaning": "how many numbers are added"},
        **{"min": 2, "max": 4, "trained_max": 3},
    }
    for item in listed["data"]:
        assert (item["size"], item["graph"]) == (4, None)
        verdict = client.post(
            "/v1/problems/check", json={"prompt": item["prompt"], "completion": item["solution"]}
        ).json()
        assert verdict["correct"]
        assert (verdict["answer"], verdict["graph"]) == (item["answer"], None)
    wrong = {"prompt": "5 + 4 + 1?\n", "completion": "5 + 4 = 3. 3 + 1 = 4. Answer: 4"}
    verdict = client.post("/v1/problems/check", json=wrong).json()
    assert [step["verdict"] for step in verdict["steps"]] == ["arithmetic", "correct"]
    assert verdict["steps"][0]["detail"] == "5 + 4 is 2"
    too_large = client.get("/v1/problems", params={"size": 5})
    assert (too_large.status_code, too_large.json()["error"]["param"]) == (400, "size")
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["StepOut"]["properties"]["verdict"]["enum"][1:3] == ["syntax", "superfluous"]
    assert "enum" not in schemas["QuantityOut"]["properties"]["kind"]


def test_strategies_are_compared_on_its_problems(folder: Path, tmp_path: Path) -> None:
    arms = ("-s", "greedy", "-s", "oracle_retry", "--ops", "2-3", "--count", "4", "--max-tokens", "20")
    printed = demur("compare", "--checkpoint", folder, "--out", tmp_path / "run", "--split", "test", *arms)
    assert "4 problems" in printed
    outcomes = read_outcomes(tmp_path / "run")
    assert {each.group for each in outcomes} == {"length 2", "length 3"}
    assert all(each.solved is not None for each in outcomes)
    assert any(each.discarded_tokens for each in outcomes if each.arm == "oracle_retry")
    assert "length 2 to 3" in (tmp_path / "run" / "report.html").read_text()
