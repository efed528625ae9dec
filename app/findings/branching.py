"""Hidden states of a network at the end of a text, and at each of several tokens that may come next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.gpt2 import GPT2, rotary_angles, rotate

States = NDArray[np.float32]
_ROWS = 64


@dataclass(frozen=True)
class Branches:
    """A text, and tokens of which each is read as if it alone came after the text."""

    text: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True)
class BranchStates:
    """Residual streams after every block, and before the first, which is layer 0.

    ends: [texts, layers, width], at the last token of each text.
    tokens: [tokens of all texts, layers, width].
    """

    ends: States
    tokens: States


@torch.inference_mode()
def read_branches(network: GPT2, texts: Sequence[Branches]) -> BranchStates:
    """Read every text once, however many tokens may follow it: these see the text and themselves."""
    ends: list[Tensor] = []
    tokens: list[Tensor] = []
    for start in range(0, len(texts), _ROWS):
        rows = texts[start : start + _ROWS]
        states = _states(network, rows)
        for row, each in enumerate(rows):
            last = len(each.text)
            ends.append(states[row, :, last - 1])
            tokens.append(states[row, :, last : last + len(each.tokens)].transpose(0, 1))
    return BranchStates(torch.stack(ends).numpy(), torch.cat(tokens).numpy())


def _states(network: GPT2, rows: Sequence[Branches]) -> Tensor:
    """[rows, layers, tokens, width], float32."""
    config = network.config
    length = max(len(row.text) + len(row.tokens) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    positions = torch.arange(length).repeat(len(rows), 1)
    mask = torch.ones(length, length, dtype=torch.bool).tril().repeat(len(rows), 1, 1)
    for number, row in enumerate(rows):
        first, end = len(row.text), len(row.text) + len(row.tokens)
        ids[number, :end] = torch.tensor([*row.text, *row.tokens])
        positions[number, first:end] = first
        mask[number, first:end, first:end] = torch.eye(len(row.tokens), dtype=torch.bool)
    rotation = rotary_angles(config, positions) if config.positions == "rotary" else None

    def attend(qkv: Tensor) -> Tensor:
        heads = qkv.view(len(rows), length, 3, config.n_heads, config.head_size)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if rotation is not None:
            cosine, sine = (part[:, None] for part in rotation)
            query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None])
        return out.transpose(1, 2).reshape(len(rows), length, config.d_model)

    x = network.embed(ids, positions)
    layers = [x]
    for block in network.blocks:
        x = block(x, attend)
        layers.append(x)
    return torch.stack(layers, dim=1)
