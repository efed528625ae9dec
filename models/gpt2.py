"""The network: GPT-2 blocks with learned or rotary positions.

Pre-norm blocks, GELU (tanh form), tied input and output embeddings, biases everywhere, as in GPT-2
(Radford et al. 2019). Rotary positions rotate the whole head in the half-split layout of GPT-NeoX
(Su et al. 2021), so that the weights map one to one to Hugging Face's `gpt2` and `gpt_neox` formats.

`GPT2.forward` is for training on packed rows; `models.decoder` runs the same weights over a KV cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import SpecError

Positions = Literal["learned", "rotary"]
LAYER_NORM_EPSILON = 1e-5
_UNSEEN = -1e30
"""Added to the score of a token that attention must not see."""


@dataclass(frozen=True)
class GPT2Config:
    """Shape of the network.

    Raises:
        SpecError: a size that is not positive, or a width that the heads do not divide evenly.
    """

    vocab_size: int
    context_length: int = 256
    d_model: int = 192
    n_layers: int = 4
    n_heads: int = 6
    positions: Positions = "rotary"
    rotary_base: float = 10_000.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context_length", "d_model", "n_layers", "n_heads"):
            value = getattr(self, name)
            if value < 1:
                raise SpecError(f"{name} is {value}; it must be at least 1")
        if self.d_model % self.n_heads:
            raise SpecError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        if self.positions == "rotary" and self.head_size % 2:
            raise SpecError(f"rotary positions need an even head size, not {self.head_size}")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads


class Block(nn.Module):
    """One pre-norm transformer block; attention itself is passed in, since training and decoding differ."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        width = config.d_model
        self.attention_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """Residual stream in, residual stream out.

        Args:
            x: (..., D).
            attend: maps the fused projection (..., 3 D), ordered query, key, value, to the heads' output
            (..., D).
        """
        x = x + self.attention_out(attend(self.qkv(self.attention_norm(x))))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh"))


class GPT2(nn.Module):
    """A GPT-2 language model."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            nn.Embedding(config.context_length, config.d_model) if config.positions == "learned" else None
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model, eps=LAYER_NORM_EPSILON)

    def embed(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Input to the first block: (...,) ids and positions to (..., D)."""
        x = self.token_embedding(token_ids)
        return x if self.position_embedding is None else x + self.position_embedding(positions)

    def unembed(self, x: Tensor) -> Tensor:
        """Residual stream after the last block (..., D) to logits (..., V)."""
        return F.linear(self.final_norm(x), self.token_embedding.weight)

    def forward(self, token_ids: Tensor, positions: Tensor, documents: Tensor) -> Tensor:
        """Logits (B, T, V) of packed rows; see `stream`."""
        return self.unembed(self.stream(token_ids, positions, documents))

    def stream(self, token_ids: Tensor, positions: Tensor, documents: Tensor) -> Tensor:
        """Residual stream after the last block (B, T, D) of packed rows.

        Args:
            token_ids: (B, T).
            positions: (B, T), counted within each document.
            documents: (B, T), a number per document in its row; a token sees only earlier tokens of its own.
        """
        config = self.config
        rows, length = token_ids.shape
        causal = torch.ones(length, length, dtype=torch.bool, device=token_ids.device).tril()
        seen = ((documents[:, :, None] == documents[:, None, :]) & causal)[:, None]
        mask = torch.where(seen, 0.0, _UNSEEN)  # once, not in each layer, as for a mask of booleans
        rotation = rotary_angles(config, positions) if config.positions == "rotary" else None

        def attend(qkv: Tensor) -> Tensor:
            heads = qkv.view(rows, length, 3, config.n_heads, config.head_size)
            query, key, value = heads.permute(2, 0, 3, 1, 4)
            if rotation is not None:
                cosine, sine = (part[:, None].to(qkv.dtype) for part in rotation)
                query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
            out = _attention(query, key, value, mask)
            return out.transpose(1, 2).reshape(rows, length, config.d_model)

        x = self.embed(token_ids, positions)
        for block in self.blocks:
            x = block(x, attend)
        return x


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention (B, heads, T, head size) with a mask (B, 1, T, T) added to the scores.

    For rows this short in bfloat16 the compiler's fused softmax between two batched products beats the kernel
    of `scaled_dot_product_attention` on a CPU; in float32 that kernel is faster, above all on rows of 256
    (benchmarks/training_speed.py).
    """
    if query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query @ key.mT) * query.shape[-1] ** -0.5
    weights = torch.softmax(scores.float() + mask, dim=-1)
    return weights.to(value.dtype) @ value


def rotary_angles(config: GPT2Config, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine (..., head size) of the rotary angles at integer positions (...,), float32."""
    half = config.head_size // 2
    exponents = torch.arange(half, dtype=torch.float32, device=positions.device) * (2.0 / config.head_size)
    frequencies = 1.0 / (config.rotary_base**exponents)
    angles = positions.float()[..., None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the pairs (i, i + half) of x (..., head size) by their angles."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine
