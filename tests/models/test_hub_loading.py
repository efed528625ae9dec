"""What is refused of folders of other makes; what is computed is in test_language_model.py."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.checkpoint import load
from models.errors import ArtifactError
from models.tokenizer import Tokenizer
from tests.models.hub import write_foreign
from tests.models.tiny import CONTEXT


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    write_foreign("llama", tmp_path / "llama", tokenizer)
    return tmp_path / "llama"


def set_nan(tensors: dict[str, Tensor]) -> None:
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["model.layers.0.input_layernorm.weight"]


def cut(tensors: dict[str, Tensor]) -> None:
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:31].clone()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_nan, r"model\.layers\.1\.mlp\.up_proj\.weight holds NaN or infinity"),
        (drop, r"the weights lack model\.layers\.0\.input_layernorm\.weight"),
        (cut, "transformers cannot load it as a causal language model"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_wrong_weights_are_refused(
    folder: Path, change: Callable[[dict[str, Tensor]], object], named: str
) -> None:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ArtifactError, match=f"llama: {named}"):
        load(folder)


def test_cut_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="llama: transformers cannot load it"):
        load(folder)


def test_code_of_a_checkpoint_is_not_run(folder: Path) -> None:
    (folder / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}'
    )
    (folder / "own.py").write_text("raise SystemExit('run')")
    with pytest.raises(ArtifactError, match="llama: transformers cannot load it"):
        load(folder)


def test_recurrent_model_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Its state after a token holds the whole past, so there is no way back to an earlier position."""
    from transformers import MambaConfig, MambaForCausalLM

    network: Any = MambaForCausalLM(
        MambaConfig(vocab_size=400, hidden_size=16, num_hidden_layers=1, state_size=4)
    )
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ArtifactError, match=r"a mamba model .*cannot be cut short"):
        load(tmp_path)


SMALL: Mapping[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": CONTEXT,
}


def _bert() -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig(**SMALL))


def _roberta() -> Any:
    from transformers import RobertaConfig, RobertaForMaskedLM

    return RobertaForMaskedLM(RobertaConfig(**SMALL))


def _distilbert() -> Any:
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    return DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=400, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    )


def _t5() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )


def _bart() -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=400,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
        )
    )


@pytest.mark.parametrize("make", [_bert, _roberta, _distilbert, _t5, _bart])
@pytest.mark.filterwarnings("ignore")
def test_model_that_is_no_decoder_is_refused_in_one_sentence(
    tmp_path: Path, tokenizer: Tokenizer, make: Callable[[], Any]
) -> None:
    """Masked language models, whatever transformers would load them as, encoders with a decoder."""
    network = make()
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(
        ArtifactError, match=r"no decoder: it does not continue a text word by word"
    ) as caught:
        load(tmp_path)
    assert type(network).__name__ in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("in_config", "in_generation", "ends"),
    [
        ([0, 2], None, (0, 2, 399)),
        (7, [7, 8, 9], (7, 8, 9, 399)),
        (None, 8, (8, 399)),
        (-1, [], (399,)),
        (399, 10**6, (399,)),
    ],
)
def test_end_tokens_of_every_file_are_known(
    folder: Path, in_config: object, in_generation: object, ends: tuple[int, ...]
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": in_config}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": in_generation}))
    assert load(folder).model.spec.end_token_ids == ends


def test_damaged_generation_config_is_refused_by_name(folder: Path) -> None:
    (folder / "generation_config.json").write_text("[1")
    with pytest.raises(ArtifactError, match=r"generation_config\.json is not JSON"):
        load(folder)


def test_model_without_a_context_length_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    network: Any = BloomForCausalLM(BloomConfig(vocab_size=400, hidden_size=16, n_layer=1, n_head=2))
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ArtifactError, match="the max_position_embeddings of a bloom model is None"):
        load(tmp_path)
