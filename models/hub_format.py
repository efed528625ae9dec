"""Our weights in the names and layouts of Hugging Face's `gpt2` and `gpt_neox`, and back.

Learned positions map to `gpt2`, whose `Conv1D` layers store matrices transposed; rotary positions map to
`gpt_neox` without parallel residual, which orders the fused projection head by head.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.errors import ArtifactError
from models.gpt2 import LAYER_NORM_EPSILON, GPT2Config

_GPT2_PARTS = {
    "attention_norm": "ln_1",
    "qkv": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp_in": "mlp.c_fc",
    "mlp_out": "mlp.c_proj",
}
_NEOX_PARTS = {
    "attention_norm": "input_layernorm",
    "qkv": "attention.query_key_value",
    "attention_out": "attention.dense",
    "mlp_norm": "post_attention_layernorm",
    "mlp_in": "mlp.dense_h_to_4h",
    "mlp_out": "mlp.dense_4h_to_h",
}


def hub_config(config: GPT2Config, end_token_id: int | None) -> dict[str, Any]:
    """The content of `config.json`, less the dtype."""
    common = {
        "vocab_size": config.vocab_size,
        "bos_token_id": end_token_id,
        "eos_token_id": end_token_id,
        "tie_word_embeddings": True,
    }
    if config.positions == "learned":
        return common | {
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "n_positions": config.context_length,
            "n_embd": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": LAYER_NORM_EPSILON,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
    return common | {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "intermediate_size": 4 * config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "hidden_act": "gelu_new",
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": config.rotary_base,
            "partial_rotary_factor": 1.0,
        },
        "use_parallel_residual": False,
        "attention_bias": True,
    }


def is_ours(values: Mapping[str, Any]) -> bool:
    """Whether a `config.json` describes a network that `models.gpt2` computes exactly.

    A field that is left out has transformers' default, sizes excepted.

    Raises:
        ArtifactError: the width is no whole number.
    """
    if values.get("model_type") == "gpt2":
        return (
            values.get("tie_word_embeddings", True) is True
            and values.get("activation_function", "gelu_new") == "gelu_new"
            and values.get("n_inner") in (None, 4 * _integer(values, "n_embd"))
            and values.get("scale_attn_weights", True) is True
            and not values.get("scale_attn_by_inverse_layer_idx", False)
            and values.get("layer_norm_epsilon", LAYER_NORM_EPSILON) == LAYER_NORM_EPSILON
        )
    if values.get("model_type") == "gpt_neox":
        rope = values.get("rope_parameters")
        return (
            values.get("tie_word_embeddings", False) is True
            and values.get("hidden_act") == "gelu_new"
            and values.get("intermediate_size") == 4 * _integer(values, "hidden_size")
            and values.get("use_parallel_residual", True) is False
            and values.get("attention_bias", True) is True
            and isinstance(rope, Mapping)
            and rope.get("rope_type") == "default"
            and rope.get("partial_rotary_factor") == 1.0
            and values.get("layer_norm_eps", LAYER_NORM_EPSILON) == LAYER_NORM_EPSILON
        )
    return False


def network_config(values: Mapping[str, Any]) -> GPT2Config:
    """The config of a network that `is_ours`.

    Raises:
        ArtifactError: a field is missing or has a value that makes no sense.
    """
    try:
        if values["model_type"] == "gpt2":
            return GPT2Config(
                vocab_size=_integer(values, "vocab_size"),
                context_length=_integer(values, "n_positions"),
                d_model=_integer(values, "n_embd"),
                n_layers=_integer(values, "n_layer"),
                n_heads=_integer(values, "n_head"),
                positions="learned",
            )
        return GPT2Config(
            vocab_size=_integer(values, "vocab_size"),
            context_length=_integer(values, "max_position_embeddings"),
            d_model=_integer(values, "hidden_size"),
            n_layers=_integer(values, "num_hidden_layers"),
            n_heads=_integer(values, "num_attention_heads"),
            positions="rotary",
            rotary_base=float(values["rope_parameters"]["rope_theta"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"config.json does not describe a network: {error}") from error


def _integer(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArtifactError(f"config.json: {name} is {value!r}; it must be a whole number")
    return value


def to_hub(config: GPT2Config, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the hub's names and in its layouts."""
    learned = config.positions == "learned"
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        value = tensor
        if ".qkv." in name and not learned:
            value = _by_head(config, tensor)
        elif learned and tensor.ndim == 2 and name.startswith("blocks."):
            value = tensor.mT
        renamed[_hub_name(config, name)] = value.contiguous()
    return renamed


def from_hub(
    config: GPT2Config, stored: Mapping[str, Tensor], names: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The hub's tensors as our state dict, float32.

    Args:
        stored: the hub's tensors, with or without the prefix of the base model in their names.
        names: our state dict, for its names and shapes.

    Raises:
        ArtifactError: a tensor is missing, has another shape, or holds NaN or infinity.
    """
    learned = config.positions == "learned"
    state: dict[str, Tensor] = {}
    for name, like in names.items():
        hub_name = _hub_name(config, name)
        # The original GPT-2 files were written from the base model, without a prefix.
        found = stored.get(hub_name, stored.get(hub_name.partition(".")[2]))
        if found is None:
            raise ArtifactError(f"the weights lack {hub_name}")
        transposed = learned and like.ndim == 2 and name.startswith("blocks.")
        shape = like.mT.shape if transposed else like.shape
        if found.shape != shape:
            raise ArtifactError(
                f"{hub_name} has shape {tuple(found.shape)}; config.json wants {tuple(shape)}"
            )
        value = found.float()
        if not bool(torch.isfinite(value).all()):
            raise ArtifactError(f"{hub_name} holds NaN or infinity")
        if transposed:
            value = value.mT
        elif ".qkv." in name and not learned:
            value = _by_part(config, value)
        state[name] = value.contiguous()
    return state


def _hub_name(config: GPT2Config, name: str) -> str:
    learned = config.positions == "learned"
    if name.startswith("blocks."):
        _, index, part, kind = name.split(".")
        if learned:
            return f"transformer.h.{index}.{_GPT2_PARTS[part]}.{kind}"
        return f"gpt_neox.layers.{index}.{_NEOX_PARTS[part]}.{kind}"
    module, kind = name.split(".")
    ours = ("token_embedding", "position_embedding", "final_norm")
    theirs = ("wte", "wpe", "ln_f") if learned else ("embed_in", "", "final_layer_norm")
    return f"{'transformer' if learned else 'gpt_neox'}.{theirs[ours.index(module)]}.{kind}"


def _by_head(config: GPT2Config, fused: Tensor) -> Tensor:
    """Rows ordered (part, head, entry) to rows ordered (head, part, entry)."""
    split = fused.reshape(3, config.n_heads, config.head_size, *fused.shape[1:])
    return split.transpose(0, 1).reshape(fused.shape)


def _by_part(config: GPT2Config, fused: Tensor) -> Tensor:
    """Rows ordered (head, part, entry) to rows ordered (part, head, entry)."""
    split = fused.reshape(config.n_heads, 3, config.head_size, *fused.shape[1:])
    return split.transpose(0, 1).reshape(fused.shape)
