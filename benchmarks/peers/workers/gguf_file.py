"""A folder of `gpt2`, `gpt_neox` or `llama` as one file of llama.cpp.

Names and layouts as its `convert_hf_to_gguf.py` has them. The words are made up, since ids are what is asked.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

gguf: Any = import_module("gguf")

Array = NDArray[np.float32]
_ARCHITECTURES = {"gpt2": "GPT2", "gpt_neox": "GPTNEOX", "llama": "LLAMA"}


def written(folder: Path, precision: str) -> Path:
    """The file of the folder's weights as `float32` or `q8_0`, made unless it is there."""
    target = folder / f"{precision}.gguf"
    if not target.exists():
        partial = target.with_suffix(".partial")
        _write(
            folder, partial, getattr(gguf.GGMLQuantizationType, {"float32": "F32", "q8_0": "Q8_0"}[precision])
        )
        partial.replace(target)
    return target


def _write(folder: Path, target: Path, kind: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    architecture = getattr(gguf.MODEL_ARCH, _ARCHITECTURES[config["model_type"]])
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[architecture])
    _describe(writer, config)
    layers = config.get("num_hidden_layers") or config["n_layer"]
    names = gguf.get_tensor_name_map(architecture, layers)
    tensors = _tensors(folder, config)
    for name, values in tensors.items():
        place = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if place is None:
            raise ValueError(f"{folder}: {name} has no name in {config['model_type']} files of llama.cpp")
        # As llama.cpp quantises: matrices that are multiplied with, whose rows are whole blocks of 32.
        quantised = values.ndim == 2 and "position" not in place and values.shape[1] % 32 == 0
        dtype = kind if quantised else gguf.GGMLQuantizationType.F32
        writer.add_tensor(place, gguf.quantize(values, dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, config: dict[str, Any]) -> None:
    def of(*names: str) -> Any:
        return next(config[name] for name in names if config.get(name) is not None)

    width = of("hidden_size", "n_embd")
    heads = of("num_attention_heads", "n_head")
    writer.add_context_length(of("max_position_embeddings", "n_positions"))
    writer.add_embedding_length(width)
    writer.add_block_count(of("num_hidden_layers", "n_layer"))
    writer.add_feed_forward_length(config.get("intermediate_size") or 4 * width)
    writer.add_head_count(heads)
    if config["model_type"] == "llama":
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(config["vocab_size"])
    else:
        writer.add_layer_norm_eps(of("layer_norm_eps", "layer_norm_epsilon"))
    if config["model_type"] != "gpt2":
        rope = config.get("rope_parameters") or config
        writer.add_rope_dimension_count(width // heads)
        writer.add_rope_freq_base(rope["rope_theta"])
    if config["model_type"] == "gpt_neox":
        writer.add_parallel_residual(config["use_parallel_residual"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"t{number}" for number in range(config["vocab_size"])])
    writer.add_token_types([gguf.TokenType.NORMAL] * config["vocab_size"])
    writer.add_token_merges(["t 0"])  # a file without any is refused
    writer.add_eos_token_id(config["vocab_size"] - 1)
    writer.add_bos_token_id(config["vocab_size"] - 1)


def _tensors(folder: Path, config: dict[str, Any]) -> dict[str, Array]:
    """Weights by their names in transformers, laid out as llama.cpp has them."""
    load_file: Any = import_module("safetensors.torch").load_file
    found: dict[str, Array] = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        values: Array = tensor.float().numpy()
        if config["model_type"] == "gpt2" and ".c_" in name and values.ndim == 2:
            values = values.T  # transformers' Conv1D has them transposed
        if config["model_type"] == "gpt_neox" and "query_key_value" in name:
            heads = config["num_attention_heads"]
            values = values.reshape(heads, 3, -1, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)
        if config["model_type"] == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        found[name] = np.ascontiguousarray(values)
    if config["model_type"] == "gpt_neox" and "embed_out.weight" not in found:
        found["embed_out.weight"] = found["gpt_neox.embed_in.weight"]
    return found
