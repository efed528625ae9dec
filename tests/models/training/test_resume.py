from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.corpora.registry import corpus_named
from models.errors import ArtifactError
from models.training.config import PretrainConfig
from models.training.resume import resume
from models.training.state import Progress, save_state

# 100 tokens a step: 40 steps, of which the last 10 decay.
CONFIG = PretrainConfig(rows=2, row_length=50, tokens=4000, decay_tokens=1000, muon_rate=0.02)


def tensors(value: float) -> dict[str, Tensor]:
    return {"weight": torch.full((2,), value)}


def stored(folder: Path, step: int, config: PretrainConfig = CONFIG, **changes: Any) -> Path:
    path = folder / "state.safetensors"
    save_state(path, tensors(1.0), Progress(step), config.to_card() | changes)
    return path


def test_run_without_a_state_is_new(tmp_path: Path) -> None:
    target = tensors(0.0)
    assert resume(CONFIG, tmp_path / "state.safetensors", target) == Progress()
    assert torch.equal(target["weight"], torch.zeros(2))


def test_state_of_the_same_run_is_taken_over(tmp_path: Path) -> None:
    target = tensors(0.0)
    assert resume(CONFIG, stored(tmp_path, 39), target) == Progress(39)
    assert torch.equal(target["weight"], torch.ones(2))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"muon_rate": 0.03}, "muon_rate 0.02 there, 0.03 here"),
        ({"positions": "learned"}, "positions 'rotary' there, 'learned' here"),
        ({"corpus": corpus_named("igsm", {"modulus": 13})}, "corpus.modulus 11 there, 13 here"),
        ({"rows": 4, "seed": 2}, "rows 2 there, 4 here, seed 0 there, 2 here"),
    ],
)
def test_state_of_another_run_is_refused_by_field(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    target = tensors(0.0)
    with pytest.raises(ArtifactError, match=rf"state\.safetensors belongs to another run \({named}\)"):
        resume(replace(CONFIG, **change), stored(tmp_path, 5), target)
    assert torch.equal(target["weight"], torch.zeros(2))


def test_state_with_a_field_of_another_version_is_refused_by_field(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"dropout 0\.1 there, None here"):
        resume(CONFIG, stored(tmp_path, 5, dropout=0.1), tensors(0.0))


@pytest.mark.parametrize(
    ("step", "tokens", "decay_tokens"),
    [
        (30, 8000, 1000),  # the first decaying step of the old run would be the next one
        (30, 4000, 500),
        (30, 9999, 9999 - 3000),
        (20, 3000, 1000),
        (40, 4050, 1000),  # rounds to the same steps
    ],
)
def test_length_may_change_before_the_rate_falls(
    tmp_path: Path, step: int, tokens: int, decay_tokens: int
) -> None:
    longer = replace(CONFIG, tokens=tokens, decay_tokens=decay_tokens)
    assert resume(longer, stored(tmp_path, step), tensors(0.0)) == Progress(step)
    assert all(longer.rate_factor(s) == CONFIG.rate_factor(s) for s in range(step))


@pytest.mark.parametrize(
    ("step", "tokens", "decay_tokens", "named"),
    [
        (31, 8000, 1000, "tokens 4000 there, 8000 here"),
        (31, 4000, 500, "decay_tokens 1000 there, 500 here"),
        (21, 3000, 1000, "tokens 4000 there, 3000 here"),
        (30, 4000, 1100, "decay_tokens 1000 there, 1100 here"),
    ],
)
def test_length_may_not_change_once_the_rate_has_fallen(
    tmp_path: Path, step: int, tokens: int, decay_tokens: int, named: str
) -> None:
    longer = replace(CONFIG, tokens=tokens, decay_tokens=decay_tokens)
    with pytest.raises(ArtifactError, match=rf"another run \({named}\)"):
        resume(longer, stored(tmp_path, step), tensors(0.0))


def test_state_of_the_time_when_there_was_one_corpus_is_taken_over(tmp_path: Path) -> None:
    settings = {name: value for name, value in CONFIG.to_card()["corpus"].items() if name != "name"}
    path = stored(tmp_path, 5, corpus=settings)
    assert resume(CONFIG, path, tensors(0.0)) == Progress(5)
    with pytest.raises(
        ArtifactError, match=r"corpus\.name igsm there|corpus\.name 'igsm' there, 'sums' here"
    ):
        resume(replace(CONFIG, corpus=corpus_named("sums"), op_start=2), path, tensors(0.0))
