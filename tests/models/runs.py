"""A pretraining run that takes a second: tiny problems, a tiny network, sixty steps."""

import csv
from dataclasses import replace
from pathlib import Path

import torch

from models.corpora.registry import corpus_named
from models.pretrain import TrainedModel
from models.training.config import PretrainConfig

CONFIG = PretrainConfig(
    corpus=corpus_named("igsm", {"nouns": 12, "op_max": 2, "ood_extra": 0, "distractors_max": 2}),
    context_length=80,
    d_model=32,
    n_layers=2,
    n_heads=2,
    rows=4,
    row_length=64,
    tokens=4 * 64 * 70,
    decay_tokens=4 * 64 * 30,
    warmup_steps=5,
    op_start=1,
    op_ramp_tokens=4 * 64 * 10,
    validate_tokens=4 * 64 * 40,
    validate_problems=2,
    seed=3,
)
LEARNED = replace(CONFIG, positions="learned")


def assert_same_weights(first: TrainedModel, second: TrainedModel) -> None:
    """Bit for bit."""
    theirs = second.network.state_dict()
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def rows(folder: Path, name: str = "loss") -> list[dict[str, str]]:
    """Rows of a log, less the seconds."""
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    for row in found:
        row.pop("seconds", None)
    return found


def assert_same_log(first: Path, second: Path) -> None:
    """All but the seconds."""
    for name in ("loss", "validation"):
        assert rows(first, name) == rows(second, name)
        assert rows(first, name)
