"""/v1/score and the signals of generated tokens, against transformers on the same folder."""

import math
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = "Boats are 3 times kites. Kites are 7. How many boats?"


def reference(folder: Path, token_ids: list[int]) -> torch.Tensor:
    """Log-probabilities (T, V) in float32 that transformers computes from the same files."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([token_ids])).logits[0]
    return torch.log_softmax(logits, dim=-1)


def score(http: httpx2.Client, **fields: object) -> dict[str, Any]:
    response = http.post("/v1/score", json=fields)
    assert response.status_code == 200, response.text
    return response.json()


def test_scores_agree_with_transformers(http: httpx2.Client, checkpoint_folder: Path) -> None:
    names = ["entropy", "varentropy", "surprisal", "max_probability", "margin"]
    answer = score(http, input=TEXT, signals=names, top_logprobs=3)
    rows = answer["data"][0]["tokens"]
    ids: list[int] = AutoTokenizer.from_pretrained(checkpoint_folder)(TEXT)["input_ids"]
    assert [row["token_id"] for row in rows] == ids
    assert "".join(row["token"] for row in rows) == TEXT
    assert rows[0] == {"token": rows[0]["token"], "token_id": ids[0], "logprob": None}
    log_probs = reference(checkpoint_folder, ids).double()
    total = 0.0
    for row, chosen, before in zip(rows[1:], ids[1:], log_probs, strict=False):
        probs = before.exp()
        entropy = -(probs * before).sum().item()
        best = probs.topk(2).values
        expected = {
            "logprob": before[chosen].item(),
            "surprisal": -before[chosen].item(),
            "entropy": entropy,
            "varentropy": (probs * (before + entropy) ** 2).sum().item(),
            "max_probability": best[0].item(),
            "margin": (best[0] - best[1]).item(),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-4)
        top = before.topk(3)
        assert [item["logprob"] for item in row["top_logprobs"]] == pytest.approx(
            top.values.tolist(), abs=1e-4
        )
        total += expected["logprob"]
    assert answer["data"][0]["logprob"] == pytest.approx(total, abs=1e-3)
    assert answer["usage"] == {"prompt_tokens": len(ids), "total_tokens": len(ids)}


def test_signals_of_generated_tokens_equal_their_score(http: httpx2.Client) -> None:
    names = ["entropy", "margin"]
    written = http.post(
        "/v1/completions",
        json={
            "prompt": TEXT,
            "seed": 1,
            "max_tokens": 10,
            "ignore_eos": True,
            "signals": names,
            "echo": True,
        },
    ).json()["choices"][0]["signals"]
    rows = score(http, input=[row["token_id"] for row in written], signals=names)["data"][0]["tokens"]
    assert len(rows) == len(written)
    assert set(written[0]) == {"token", "token_id"}
    for mine, theirs in zip(written[1:], rows[1:], strict=True):
        assert mine["token"] == theirs["token"]
        assert {name: mine[name] for name in names} == pytest.approx(
            {name: theirs[name] for name in names}, abs=1e-4
        )


def test_entropy_is_bounded_by_the_vocabulary(http: httpx2.Client) -> None:
    size = http.get("/v1/models/tiny").json()["vocab_size"]
    rows = score(http, input=TEXT, signals=["entropy"])["data"][0]["tokens"][1:]
    assert all(0 <= row["entropy"] <= math.log(size) for row in rows)


def test_several_texts_are_scored_in_order(http: httpx2.Client) -> None:
    both = score(http, input=[TEXT, "Kites are 7."])["data"]
    alone = score(http, input="Kites are 7.")["data"][0]
    assert [item["index"] for item in both] == [0, 1]
    assert both[1]["tokens"] == alone["tokens"]


def test_one_token_has_nothing_to_score(http: httpx2.Client) -> None:
    answer = score(http, input=[5], signals=["entropy"])
    assert answer["data"][0]["logprob"] == 0
    assert len(answer["data"][0]["tokens"]) == 1
