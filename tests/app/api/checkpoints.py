"""Checkpoints for tests: random weights, the corpus's tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models import checkpoint
from models.corpora.registry import card_of, corpus_named
from models.gpt2 import GPT2, GPT2Config
from tests.models.tokenizers import corpus_tokenizer

NO_CORPUS: Mapping[str, Any] = {"corpus": "none: random weights"}
CORPUS: Mapping[str, Any] = {"corpus": card_of(corpus_named())}


def write_random_checkpoint(folder: Path, card: Mapping[str, Any] = NO_CORPUS) -> None:
    """Write a checkpoint that is quick to run and has a next-token distribution worth sampling from."""
    tokenizer = corpus_tokenizer()
    torch.manual_seed(0)
    network = GPT2(
        GPT2Config(vocab_size=tokenizer.vocab_size, context_length=128, d_model=32, n_layers=2, n_heads=2)
    )
    # With the constructor's weights the tied embedding makes every token predict itself.
    with torch.no_grad():
        network.token_embedding.weight.mul_(0.5)
        for parameter in network.blocks.parameters():
            parameter.mul_(2)
    checkpoint.save(folder, network, tokenizer, card)
