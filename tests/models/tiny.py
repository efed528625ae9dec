"""Tiny networks with random weights, large enough in scale that every part of them matters."""

import torch

from models.gpt2 import GPT2, GPT2Config, Positions

VOCABULARY = 400
CONTEXT = 48


@torch.no_grad()
def randomise(network: torch.nn.Module, seed: int) -> None:
    """Random weights for any network: matrices of a scale that makes attention choose, lively biases."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(network.named_parameters()):
        noise = torch.empty_like(parameter).normal_(generator=generator)
        is_norm = parameter.ndim == 1 and name.endswith("weight")
        parameter.copy_(1.0 + 0.2 * noise if is_norm else 0.3 * noise)


def tiny_network(positions: Positions = "rotary", seed: int = 0, vocab_size: int = VOCABULARY) -> GPT2:
    config = GPT2Config(vocab_size, CONTEXT, d_model=32, n_layers=2, n_heads=4, positions=positions)
    network = GPT2(config)
    randomise(network, seed)
    return network.eval()


def random_ids(length: int, seed: int = 0) -> list[int]:
    return torch.randint(VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
