"""GGUF files of tiny Llamas, as llama.cpp's own converter writes them."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import pre_tokenizers

needs_llama_cpp = pytest.mark.skipif(
    not (find_spec("gguf") and find_spec("xllamacpp")), reason="pip install 'demur[gguf]'"
)

TOKENS = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "<|start|>", "<|end|>", "<|end_turn|>"]
START, END, END_TURN = (TOKENS.index(name) for name in ("<|start|>", "<|end|>", "<|end_turn|>"))
TEMPLATE = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
NORMAL, CONTROL = 1, 3


def tokens_of(count: int) -> list[str]:
    """So many tokens; those beyond `TOKENS` are in no text."""
    return [*TOKENS, *(f"<|{number}|>" for number in range(len(TOKENS), count))][:count]


def as_llama_cpp(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp rotates neighbouring dimensions of a head, transformers the two halves of it."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def write_gguf(
    path: Path,
    network: Any,
    architecture: str = "llama",
    tokens: Sequence[str] = TOKENS,
    ends: tuple[int, int] = (END, END_TURN),
    quantisation: str | None = None,
    **fields: Any,
) -> None:
    """Write a Llama of transformers.

    ends: the tokens that end a text and a turn. quantisation: of matrices, one of gguf's names; float32 is
    kept without. fields: more of the file's metadata, whole numbers by names with double low lines for dots.
    """
    gguf: Any = import_module("gguf")
    config = network.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    if tokens:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_types([CONTROL if name.startswith("<|") else NORMAL for name in tokens])
        writer.add_token_merges(["t h", "th e"])
        writer.add_bos_token_id(START)
        writer.add_eos_token_id(ends[0])
        writer.add_eot_token_id(ends[1])
        writer.add_add_bos_token(True)
        writer.add_chat_template(TEMPLATE)
    for name, value in fields.items():
        writer.add_uint16(name.replace("__", "."), value)
    state = network.state_dict()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    kind = gguf.GGMLQuantizationType[quantisation or "F32"]
    for name, weight in state.items():
        if ".q_proj." in name:
            weight = as_llama_cpp(weight, config.num_attention_heads)
        if ".k_proj." in name:
            weight = as_llama_cpp(weight, config.num_key_value_heads)
        given = names.get_name(name.removesuffix(".weight")) + ".weight"
        if weight.ndim > 1 and quantisation:
            writer.add_tensor(given, gguf.quants.quantize(weight.numpy(), kind), raw_dtype=kind)
        else:
            writer.add_tensor(given, weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
