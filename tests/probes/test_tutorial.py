"""docs/probes-tutorial.md, command by command, on a small Llama; then the server with what came out."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.main import create_app
from app.settings import Settings
from tests.models.tokenizers import corpus_tokenizer

TUTORIAL = Path(__file__).parents[2] / "docs" / "probes-tutorial.md"
FOLLOWS = {"0": "+=\n", "1": "+=\n", "2": "+=\n", "+": "012", "=": "012", "\n": "0012"}
"""What the model writes after a character, with equal odds: sums that are right once in a while."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL.read_text(), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_adding_model(tmp_path / "my-model")
    prompts, judge = blocks("python")
    (tmp_path / "make_prompts.py").write_text(prompts)
    (tmp_path / "judge.py").write_text(judge)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("make_prompts.py")
    return tmp_path


def write_adding_model(folder: Path) -> None:
    """A Llama whose blocks do next to nothing and whose next token depends on the last one alone."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = corpus_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        eos_token_id=tokenizer.end_token_id,
    )
    network = LlamaForCausalLM(config)
    ids = {tokenizer.token_bytes(id_).decode("utf-8", "replace"): id_ for id_ in range(tokenizer.vocab_size)}
    with torch.no_grad():
        network.model.embed_tokens.weight.mul_(0.1)
        network.lm_head.weight.zero_()
        for place, (before, after) in enumerate(FOLLOWS.items()):
            network.model.embed_tokens.weight[ids[before], place] = 4.0
            for character in after:
                network.lm_head.weight[ids[character], place] += 2.0 + 0.1 * after.count(character)
    network.save_pretrained(folder)
    tokenizer.save(folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tutorial_ends_with_a_server_that_reads_the_probes(folder: Path) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert commands[-1].startswith("demur serve")
    for command in commands[:-1]:
        program, *arguments = shlex.split(re.sub(r"--layer \d+ ?", "", command))  # it has only two
        assert program == "demur"
        if "install" in arguments:
            arguments.append("--anyway")  # a sum that nobody computed is nothing that a probe could see
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert "<svg" in (folder / "run" / "report.html").read_text()
    assert json.loads((folder / "my-model" / "calibration.json").read_text())["risk"]["split"] == "given"

    own = [sys.executable, "judge.py"]
    label = next(command for command in commands if " label " in command).replace("--run run", "--run other")
    arguments = shlex.split(label.replace("--judge arithmetic", f"--judge {shlex.quote(shlex.join(own))}"))
    result = CliRunner().invoke(app, arguments[1:])
    assert result.exit_code == 0, result.output
    assert '"kind": "long"' in (folder / "other" / "labels" / "prompts.jsonl").read_text()

    settings = Settings(checkpoint=folder / "my-model", probes=folder / "my-probes")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        while client.get("/health/ready").status_code == 503:
            pass
        cards = client.get("/v1/probes").json()["data"]
        # No sum of four numbers is right here, so there is nothing to fit answer_error on.
        assert {card["name"] for card in cards} == {"step_error", "step_error_early"}
        (line_break,) = corpus_tokenizer().encode("\n")
        request = {
            "model": "my-model",
            "seed": 0,
            "logit_bias": {str(line_break): 3.0},  # a probe is read where a line ends
            "prompt": "Add 1, 1.\n",
            "max_tokens": 24,
            "strategy": {"kind": "entropix"},
            "signals": ["entropy", "probe:step_error"],
        }
        reply = client.post("/v1/completions", json=request)
        assert reply.status_code == 200, reply.text
        assert "probe:step_error" in reply.text
