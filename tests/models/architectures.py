"""Twenty architectures of transformers, tiny, with random weights."""

from collections.abc import Mapping
from typing import Any

import torch

from tests.models.tiny import randomise

VOCABULARY = 200
WINDOW = 6
"""Positions that layers with a window see, far fewer than the tests' texts have."""

_SMALL: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_OLD: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_TYPES = ["sliding_attention", "full_attention"]

CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "llama": _SMALL,
    "qwen2": _SMALL,
    "qwen3": {**_SMALL, "head_dim": 16},
    "mistral": {**_SMALL, "sliding_window": WINDOW},
    "phi3": _SMALL,
    "gemma2": {**_SMALL, "sliding_window": WINDOW, "head_dim": 16, "final_logit_softcapping": 3.0},
    "gemma3_text": {**_SMALL, "sliding_window": WINDOW, "head_dim": 16, "layer_types": _TYPES},
    "gpt2": _OLD,
    "gpt_neox": _SMALL,
    "gptj": {**_OLD, "rotary_dim": 8},
    "opt": {**_SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "mixtral": {**_SMALL, "num_local_experts": 4},
    "falcon": {**_SMALL, "alibi": False},
    "stablelm": _SMALL,
    "olmo2": _SMALL,
    "smollm3": _SMALL,
    "granite": {**_SMALL, "logits_scaling": 2.0},
    "cohere": {**_SMALL, "logit_scale": 0.5},
    "gpt_oss": {**_SMALL, "num_local_experts": 4, "sliding_window": WINDOW, "head_dim": 16},
    # Its biases for distance come with a mask of their own; its config names no context length.
    "bloom": {**_OLD, "hidden_size": 32, "seq_length": 64},
}
ONE_BY_ONE = frozenset({"bloom"})
"""Those whose rows run one after the other."""


def network_of(kind: str, **changes: Any) -> Any:
    """One of `CONFIGS`, in float32."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind, **{**CONFIGS[kind], **changes})
    if kind == "gpt_oss":  # what its defaults say of longer texts does not fit so short ones
        config.rope_parameters = {"rope_type": "default", "rope_theta": 10_000.0}
    network: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomise(network, seed=2)
    return network.eval().requires_grad_(False)
