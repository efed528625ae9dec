"""Initial weights: GPT-2's, plus a start on what a reader of these corpora has to find out first.

Three structures, each of which a plain start learns late on a small budget (docs/pretraining.md takes them
apart):

- tokens that differ only in case or in a leading space begin with the same vector plus a little noise;
- the heads of the first layer look 1, 2, 3, ... tokens back, by constant query and key biases;
- some heads of the later layers have equal query and key weights, so they attend to like content, after the
  mimetic initialisation of Trockman and Kolter (arXiv 2305.09828).
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.gpt2 import GPT2, Block, rotary_angles

_FORM_NOISE = 0.5
_LOOK_BACK = (1, 1, 2, 3)
_LOOK_BACK_STRENGTH = 5.8
_LIKENESS = 1.0


@torch.no_grad()
def initialise(network: GPT2, tokens: Sequence[str], seed: int) -> None:
    """Set every weight of the network.

    Args:
        tokens: text of each token id.
        seed: the only source of randomness.
    """
    generator = torch.Generator().manual_seed(seed)
    config = network.config
    std = 0.02 * math.sqrt(768 / config.d_model)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, std, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, 0.02, generator=generator)
    blocks = [block for block in network.blocks if isinstance(block, Block)]
    for block in blocks:
        for projection in (block.attention_out, block.mlp_out):
            projection.weight.div_(math.sqrt(2 * config.n_layers))
    _share_forms(network.token_embedding.weight, tokens, generator)
    if config.positions == "rotary":
        _look_back(network, blocks[0])
    for block in blocks[1:]:
        _attend_to_likeness(network, block)


def _share_forms(embedding: Tensor, tokens: Sequence[str], generator: torch.Generator) -> None:
    """Give the forms of one word (`Boats`, ` boats`) a common vector."""
    forms: dict[str, list[int]] = defaultdict(list)
    for token_id, token in enumerate(tokens):
        word = token.strip().lower()
        if len(word) > 1:
            forms[word].append(token_id)
    for ids in forms.values():
        if len(ids) > 1:
            shared = torch.empty(embedding.shape[1]).normal_(0.0, 0.02, generator=generator)
            embedding[ids] = (shared + _FORM_NOISE * embedding[ids]) / math.sqrt(1 + _FORM_NOISE**2)


def _look_back(network: GPT2, block: Block) -> None:
    """Let the first heads attend a fixed distance back, and copy what they see in their own subspace.

    With a query bias (a, 0) and a key bias (a cos(d w), a sin(d w)) per frequency w, the rotated scores are
    a^2 cos((i - j - d) w), which peak where the key is d tokens before the query.
    """
    config = network.config
    size, width = config.head_size, config.d_model
    for head, distance in enumerate(_LOOK_BACK[: config.n_heads]):
        rows = slice(head * size, (head + 1) * size)
        cosine, sine = (angles[0] for angles in rotary_angles(config, torch.tensor([distance])))
        half = size // 2
        query, key, value = block.qkv.bias.view(3, width), block.qkv.bias.view(3, width), block.qkv.weight
        query[0, rows] = torch.cat((torch.full((half,), _LOOK_BACK_STRENGTH), torch.zeros(half)))
        key[1, rows] = torch.cat((cosine[:half], sine[:half])) * _LOOK_BACK_STRENGTH
        value.view(3, width, width)[:2, rows] *= 0.1
        copied = value.view(3, width, width)[2, rows]
        copied.copy_(torch.linalg.qr(copied.mT)[0].mT)
        block.attention_out.weight[:, rows] = copied.mT


def _attend_to_likeness(network: GPT2, block: Block) -> None:
    """Equal query and key weights in every second head."""
    config = network.config
    size, width = config.head_size, config.d_model
    weights = block.qkv.weight.view(3, width, width)
    for head in range(0, config.n_heads, 2):
        rows = slice(head * size, (head + 1) * size)
        weights[0, rows] *= _LIKENESS * math.sqrt(2)
        weights[1, rows] = weights[0, rows]
