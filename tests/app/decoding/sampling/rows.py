"""Logits to try the samplers on: random ones, and those that something might trip over."""

import math

import torch
from torch import Tensor

ADVERSARIAL: dict[str, list[float]] = {
    "one token": [3.0],
    "two tokens": [0.3, -0.9],
    "all equal": [0.5] * 9,
    "ties": [1.0, 1.0, 1.0, 0.0, 0.0, -2.0, -2.0, -7.5],
    "ties at the top": [2.0, -1.0, 2.0, 0.5, 2.0, -1.0],
    "some impossible": [1.0, -math.inf, 0.5, -math.inf, 2.0, 0.0, -3.0],
    "one possible": [-math.inf, 2.0, -math.inf],
    "two possible": [-math.inf, 2.0, 1.2, -math.inf, -math.inf],
    "very large": [3e38, -3e38, 1e38, 0.0],
    "large and close": [1e4, 1e4 - 1, 1e4 - 2.5, 0.0],
    "all very low": [-3e38, -2e38, -3e38],
    "steep": [0.0, -50.0, -103.0, -200.0, -1e6],
    "a slope": [-0.01 * i for i in range(700)],
    "a long flat": [1.0] + [0.0] * 900,
}


def random_rows(vocab_size: int, spread: float, rows: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(vocab_size + int(10 * spread))
    return torch.randn(rows, vocab_size, generator=generator) * spread


def cases() -> list[tuple[str, Tensor]]:
    """Names and rows (R, V)."""
    adversarial = [(name, torch.tensor([row])) for name, row in ADVERSARIAL.items()]
    random = [
        (f"{vocab_size} tokens, spread {spread}", random_rows(vocab_size, spread))
        for vocab_size in (7, 400, 3000)
        for spread in (0.1, 1.0, 5.0)
    ]
    return [*adversarial, *random]
