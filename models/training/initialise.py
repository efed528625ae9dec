"""Initial weights: GPT-2's, plus a start on what a reader of these corpora has to find out first.

The bottleneck of a small budget is retrieval: finding the sentence that defines a quantity. A transformer
does it by induction (Olsson et al. 2022, arXiv 2209.11895): a head in one layer notes at each token what
stood some tokens before it, and a head in the next looks for a token whose note matches the present one.
Three structures set this up, in the spirit of mimetic initialisation (Trockman and Kolter, arXiv
2305.09828); training is free to change all of it (docs/pretraining.md takes the recipe apart):

- `forms`: tokens that differ only in case or in a leading space begin with the same vector plus noise;
- `notes`: heads of the first layer look 1, 2, 3 and 4 tokens back, by constant query and key biases, and
  write what they see into a subspace of its own per distance;
- `matches`: heads of the second layer match the note of one distance at the query with that of another at
  the key; some heads of the later layers match like content;
- `quiet`: all other projections into the residual stream start at zero and embeddings at four times GPT-2's
  scale, so that the stream holds tokens and notes and no noise.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from models.gpt2 import GPT2, Block, GPT2Config, rotary_angles

Structure = Literal["forms", "notes", "matches", "quiet"]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)

_FORM_NOISE = 0.5
_LOOK_BACK = (1, 2, 3, 4)
_LOOK_BACK_STRENGTH = 5.8
_MATCHES = ((0, 2), (0, 4), (1, 2), (2, 3), (3, 4))
"""Pairs (tokens back from the query, tokens back from the key) that the second layer's heads match."""
_MATCH_GAIN = 1.2
_COPY_GAIN = 0.2


@torch.no_grad()
def initialise(
    network: GPT2, tokens: Sequence[str], seed: int, structures: Collection[Structure] = STRUCTURES
) -> None:
    """Set every weight of the network.

    Args:
        tokens: text of each token id.
        seed: the only source of randomness.
        structures: which of the structures above to set up; with none this is GPT-2's own start. Notes need
            rotary positions and two layers.
    """
    generator = torch.Generator().manual_seed(seed)
    config = network.config
    std = 0.02 * math.sqrt(768 / config.d_model)
    embedding_std = 0.08 if "quiet" in structures else 0.02
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, std, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, embedding_std, generator=generator)
    blocks = [block for block in network.blocks if isinstance(block, Block)]
    for block in blocks:
        for projection in (block.attention_out, block.mlp_out):
            projection.weight.mul_(0.0 if "quiet" in structures else 1 / math.sqrt(2 * config.n_layers))
    if "forms" in structures:
        _share_forms(network.token_embedding.weight, tokens, embedding_std, generator)
    matching = "matches" in structures
    first_plain_head = 0
    if "notes" in structures and config.positions == "rotary" and config.n_layers > 1:
        notes = _look_back(config, blocks[0], generator)
        if matching:
            first_plain_head = _match_notes(config, blocks[1], notes, generator)
    if matching:
        for block in blocks[1:]:
            _match_content(config, block, first_plain_head)
            first_plain_head = 0


def _share_forms(embedding: Tensor, tokens: Sequence[str], std: float, generator: torch.Generator) -> None:
    """Give the forms of one word (`Boats`, ` boats`) a common vector."""
    forms: dict[str, list[int]] = defaultdict(list)
    for token_id, token in enumerate(tokens):
        word = token.strip().lower()
        if len(word) > 1:
            forms[word].append(token_id)
    for ids in forms.values():
        if len(ids) > 1:
            shared = torch.empty(embedding.shape[1]).normal_(0.0, std, generator=generator)
            embedding[ids] = (shared + _FORM_NOISE * embedding[ids]) / math.sqrt(1 + _FORM_NOISE**2)


def _look_back(config: GPT2Config, block: Block, generator: torch.Generator) -> dict[int, Tensor]:
    """Let heads of the first layer attend a fixed distance back and note what they see.

    With a query bias (a, 0) and a key bias (a cos(d w), a sin(d w)) per frequency w, the rotated scores are
    a^2 cos((i - j - d) w), which peak where the key is d tokens before the query.

    Returns:
        Distance to the map (head size, D) that reads its note from the residual stream; distance 0 reads the
        token itself.
    """
    size, half = config.head_size, config.head_size // 2
    weights, biases = block.qkv.weight.view(3, config.d_model, -1), block.qkv.bias.view(3, -1)
    reader = _orthonormal(size, config.d_model, generator)
    notes = {0: reader}
    spaces = _orthonormal(config.d_model, config.d_model, generator).split(size)
    for head, distance in enumerate(_LOOK_BACK[: config.n_heads]):
        rows = slice(head * size, (head + 1) * size)
        cosine, sine = (angles[0, :half] for angles in rotary_angles(config, torch.tensor([distance])))
        biases[0, rows] = torch.cat((torch.ones(half), torch.zeros(half))) * _LOOK_BACK_STRENGTH
        biases[1, rows] = torch.cat((cosine, sine)) * _LOOK_BACK_STRENGTH
        weights[:2, rows] = 0.0
        weights[2, rows] = reader
        notes[distance] = spaces[head]
        block.attention_out.weight[:, rows] = spaces[head].mT * _COPY_GAIN
    return notes


def _match_notes(
    config: GPT2Config, block: Block, notes: dict[int, Tensor], generator: torch.Generator
) -> int:
    """Let heads attend where the key's note is like the query's, and copy the token that stands there.

    Returns:
        How many heads now have a structure.
    """
    size = config.head_size
    weights = block.qkv.weight.view(3, config.d_model, -1)
    matches = [match for match in _MATCHES if set(match) <= set(notes)][: config.n_heads]
    for head, (query, key) in enumerate(matches):
        rows = slice(head * size, (head + 1) * size)
        weights[0, rows] = notes[query] * _MATCH_GAIN
        weights[1, rows] = notes[key] * _MATCH_GAIN
        weights[2, rows] = _orthonormal(size, config.d_model, generator)
        block.attention_out.weight[:, rows] = weights[2, rows].mT * _COPY_GAIN
    return len(matches)


def _match_content(config: GPT2Config, block: Block, first_head: int) -> None:
    """Equal query and key weights in every second head from `first_head` on."""
    size = config.head_size
    weights = block.qkv.weight.view(3, config.d_model, -1)
    for head in range(1, config.n_heads, 2):
        rows = slice(head * size, (head + 1) * size)
        if head >= first_head:
            weights[1, rows] = weights[0, rows]


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """A random matrix (rows, columns) with orthonormal rows; rows <= columns."""
    return torch.linalg.qr(torch.empty(columns, rows).normal_(generator=generator))[0].mT
