from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load
from models.decoder import Decoder
from models.gpt2 import GPT2Config, Positions
from models.hub_format import from_hub, hub_config, is_ours, network_config, to_hub
from models.native.native_decoder import NativeDecoder
from models.tokenizer import Tokenizer
from tests.models.hub import Reference
from tests.models.tiny import CONTEXT, random_ids, randomise, tiny_network


def config_of(positions: Positions) -> dict[str, Any]:
    return hub_config(tiny_network(positions).config, end_token_id=399)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_layout_and_back_is_the_same_network(positions: Positions) -> None:
    network = tiny_network(positions)
    state = network.state_dict()
    back = from_hub(network.config, to_hub(network.config, state), state)
    assert list(back) == list(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(300, 64, 48, 3, 4, "learned"),
        GPT2Config(300, 64, 48, 3, 4, "rotary", rotary_base=500.0),
    ],
)
def test_config_and_back_is_the_same_config(config: GPT2Config) -> None:
    values = hub_config(config, end_token_id=None)
    assert is_ours(values)
    assert network_config(values) == config


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_transformers_reads_our_config_without_loss(positions: Positions) -> None:
    from transformers import AutoConfig

    values = config_of(positions)
    read = AutoConfig.for_model(values.pop("model_type"), **values)
    assert {name: getattr(read, name) for name in values} == values


@pytest.mark.parametrize(
    ("positions", "change"),
    [
        ("learned", {"model_type": "llama"}),
        ("learned", {"tie_word_embeddings": False}),
        ("learned", {"activation_function": "relu"}),
        ("learned", {"activation_function": "gelu"}),
        ("learned", {"n_inner": 64}),
        ("learned", {"scale_attn_weights": False}),
        ("learned", {"scale_attn_by_inverse_layer_idx": True}),
        ("learned", {"layer_norm_epsilon": 1e-6}),
        ("rotary", {"tie_word_embeddings": False}),
        ("rotary", {"hidden_act": "gelu"}),
        ("rotary", {"intermediate_size": 64}),
        ("rotary", {"use_parallel_residual": True}),
        ("rotary", {"attention_bias": False}),
        ("rotary", {"layer_norm_eps": 1e-6}),
        ("rotary", {"rope_parameters": None}),
        ("rotary", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 1.0}}),
        ("rotary", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}}),
    ],
)
def test_network_that_computes_something_else_is_not_ours(
    positions: Positions, change: dict[str, Any]
) -> None:
    assert not is_ours(config_of(positions) | change)


@pytest.mark.parametrize(
    "absent", ["tie_word_embeddings", "use_parallel_residual", "hidden_act", "rope_parameters"]
)
def test_gpt_neox_that_leaves_out_what_defaults_to_something_else_is_not_ours(absent: str) -> None:
    values = config_of("rotary")
    del values[absent]
    assert not is_ours(values)


def gpt2_of_transformers() -> Any:
    from transformers import GPT2Config as HubConfig
    from transformers import GPT2LMHeadModel

    network = GPT2LMHeadModel(
        HubConfig(vocab_size=400, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, eos_token_id=9)
    )
    randomise(network, seed=2)
    return network


@pytest.mark.parametrize("with_head", [True, False])
def test_gpt2_written_by_transformers_is_ours(tmp_path: Path, tokenizer: Tokenizer, with_head: bool) -> None:
    """Also one written from the base model, without a prefix in its names, as GPT-2 itself is published."""
    network = gpt2_of_transformers()
    (network if with_head else network.transformer).save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    model = load(tmp_path).model
    assert isinstance(model, Decoder | NativeDecoder)
    assert model.spec.end_token_id == 9
    ids = random_ids(20)
    expected, _ = Reference.load(tmp_path).score(ids)
    torch.testing.assert_close(model.score(ids).logits, expected, atol=1e-4, rtol=0)
