"""docs/probes-tutorial.md, command by command, on a small Llama; then the server with what came out."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from app.cli import app
from app.main import create_app
from app.settings import Settings
from models.corpora.igsm.spec import NOUNS
from models.tokenizer import Tokenizer
from tests.models.hub import write_checkpoint
from tests.models.tokenizers import corpus_tokenizer

TUTORIAL = Path(__file__).parents[2] / "docs" / "probes-tutorial.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL.read_text(), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tokenizer = corpus_tokenizer()
    write_checkpoint("llama", tmp_path / "my-model", tokenizer)
    _end_sentences(tmp_path / "my-model", tokenizer)
    (tmp_path / "judge.py").write_text(blocks("python")[0])
    prompts = [
        {"prompt": f"{first.capitalize()} are {second}."} for first in NOUNS[:12] for second in NOUNS[:10]
    ]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _end_sentences(folder: Path, tokenizer: Tokenizer) -> None:
    """Let the random model write a full stop every few tokens, and a few words again and again."""
    weights = load_file(folder / "model.safetensors")
    for text, factor in ((". ", 3.0), *((f" {noun}", 1.5) for noun in NOUNS[:8])):
        weights["lm_head.weight"][tokenizer.phrase_id(text)] *= factor
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tutorial_ends_with_a_server_that_reads_the_probes(folder: Path) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert commands[-1].startswith("demur serve")
    for command in commands[:-1]:
        program, *arguments = shlex.split(command.replace("python judge.py", f"{sys.executable} judge.py"))
        assert program == "demur"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert "<svg" in (folder / "run" / "report.html").read_text()

    settings = Settings(checkpoint=folder / "my-model", probes=folder / "my-probes")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        while client.get("/health/ready").status_code == 503:
            pass
        cards = client.get("/v1/probes").json()["data"]
        assert {"step_error", "answer_error"} <= {card["name"] for card in cards}
        request = {
            "model": "my-model",
            "prompt": "Boats are kites.",
            "max_tokens": 24,
            "signals": ["probe:answer_error", "probe:step_error"],
        }
        reply = client.post("/v1/completions", json=request)
        assert reply.status_code == 200, reply.text
        assert "probe:answer_error" in reply.text
