"""What a network of transformers is, by its config."""

from typing import Any

import torch

from models.errors import ArtifactError
from models.hub.int8 import count_parameters
from models.language_model import EndTokens, ModelSpec, end_token_ids

_CONTEXT_NAMES = ("max_position_embeddings", "seq_length", "max_seq_len")
"""What configs call the context length; those of models whose positions are biases have the latter two."""


def describe(network: Any, name: str, *ends: EndTokens) -> ModelSpec:
    """`ends` are tokens that end a text besides those of its config.

    Raises:
        ArtifactError: the config lacks a size, such as the context length.
    """
    whole = network.config
    config = whole.get_text_config(decoder=True)
    vocab_size = _size(config, "vocab_size")
    # Of a model of texts and pictures, what ends a text may stand in either config.
    of_configs = [getattr(each, "eos_token_id", None) for each in (config, whole)]
    return ModelSpec(
        name=name,
        vocab_size=vocab_size,
        context_length=_context_length(config),
        d_model=_size(config, "hidden_size"),
        n_layers=_size(config, "num_hidden_layers"),
        parameters=count_parameters(network),
        end_token_ids=end_token_ids(*of_configs, *ends, vocab_size=vocab_size),
        cache_grows=True,
    )


@torch.inference_mode()
def position_bytes(network: Any) -> int:
    """Memory that keys and values of one token take in all layers."""
    token = torch.zeros(1, 1, dtype=torch.int64, device=network.device)
    layers = network(input_ids=token, use_cache=True).past_key_values.layers
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)


def _context_length(config: Any) -> int:
    names = [name for name in _CONTEXT_NAMES if getattr(config, name, None) is not None]
    return _size(config, names[0] if names else _CONTEXT_NAMES[0])


def _size(config: Any, name: str) -> int:
    value = getattr(config, name, None)
    if not isinstance(value, int) or value < 1:
        raise ArtifactError(f"the {name} of a {config.model_type} model is {value!r}, not a number from 1 up")
    return value
