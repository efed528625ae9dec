"""Networks of other makes in other numbers than float32, and on other devices than the CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.checkpoint import load
from models.errors import ArtifactError, SpecError
from models.hub.batched import BatchedModel
from models.hub.dtypes import PRECISIONS, Precision, dtype_of
from models.hub.int8 import Int8Linear, count_parameters, round_weights
from models.hub.loading import load_hub_network
from models.tokenizer import Tokenizer
from tests.models.architectures import network_of
from tests.models.hub import write_checkpoint
from tests.models.tiny import random_ids

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    path = tmp_path_factory.mktemp("precision") / "llama"
    write_checkpoint("llama", path, tokenizer)
    return path


# Of the standard deviation of the logits: what rounding to 8 bits of mantissa or 255 steps, may do
@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-5), ("bfloat16", 0.2), ("int8", 0.2)])
def test_logits_are_float32_and_near_the_exact_ones(folder: Path, precision: Precision, most: float) -> None:
    exact = load(folder).model.score(random_ids(12), (1,))
    model = load(folder, precision=precision).model
    assert isinstance(model, BatchedModel)
    found = model.score(random_ids(12), (1,))
    assert found.logits.dtype == found.hidden[1].dtype == torch.float32
    difference = (found.logits - exact.logits).square().mean().sqrt() / exact.logits.std()
    assert difference < most
    assert precision == "float32" or difference > 1e-4


def test_what_auto_is() -> None:
    assert dtype_of("auto", torch.bfloat16, "cpu") == torch.float32
    assert dtype_of("auto", torch.bfloat16, "cuda") == torch.bfloat16
    assert dtype_of("auto", None, "cuda:1") == torch.float32
    assert [dtype_of(each, None, "cpu") for each in PRECISIONS[1:]] == [
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.bfloat16,
    ]
    wrong: Any = "int4"
    with pytest.raises(SpecError, match="dtype 'int4' is none of auto, float32, bfloat16, float16, int8"):
        dtype_of(wrong, None, "cpu")


def nothing(_name: str) -> None:
    """What `find_spec` finds."""


@pytest.mark.parametrize(
    ("device", "need"), [("cuda", "finds a cuda GPU"), ("mps", "finds a mps GPU"), ("auto", "accelerate")]
)
def test_a_device_that_is_not_there_is_named(
    folder: Path, device: str, need: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("models.hub.loading.find_spec", nothing)
    with pytest.raises(SpecError, match=rf"device '{device}' needs .*{need}"):
        load_hub_network(folder, device)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Device `auto` has room for all but one layer."""
    pytest.importorskip("accelerate")
    from transformers import AutoModelForCausalLM

    real: Any = AutoModelForCausalLM.from_pretrained
    here = ("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head")
    places = {**dict.fromkeys(here, "cpu"), "model.layers.1": "disk"}

    def placed(folder: Path, **given: Any) -> Any:
        where = {"device_map": places, "offload_folder": tmp_path} if "device_map" in given else {}
        return real(folder, **{**given, **where})

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", placed)


@pytest.mark.usefixtures("on_disk")
def test_what_has_no_room_is_fetched_when_it_is_used(folder: Path) -> None:
    ids = random_ids(12)
    model = load(folder, "auto").model
    assert isinstance(model, BatchedModel)
    assert torch.equal(model.score(ids).logits, load(folder).model.score(ids).logits)


@pytest.mark.usefixtures("on_disk")
def test_what_has_no_room_cannot_be_int8(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"device 'auto' has no room for all weights.*cannot be int8"):
        load_hub_network(folder, "auto", "int8")


def test_a_network_that_overflows_is_told_so(tmp_path: Path, tokenizer: Tokenizer) -> None:
    network = network_of("llama")
    network.get_output_embeddings().weight.mul_(1e6)
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ArtifactError, match=r"in float16 .*no numbers|holds NaN or infinity"):
        load_hub_network(tmp_path, "cpu", "float16")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_layer_is_the_product_with_the_rounded_weights(bias: bool, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(96, 40, bias=bias)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.weight[3] = 0.0
    small = Int8Linear(layer.weight.to(dtype), layer.bias.to(dtype) if bias else None)
    x = torch.randn(2, 5, 96, generator=generator).to(dtype)
    rounded = small.weight.float() * small.scale.float()[:, None]
    assert (rounded - layer.weight).abs().amax() <= layer.weight.abs().amax() / 100
    expected = x.float() @ rounded.T + (layer.bias if bias else 0)
    found = small(x)
    assert found.dtype == dtype
    assert found.shape == (2, 5, 40)
    assert (found.float() - expected).abs().amax() <= (1e-4 if dtype == torch.float32 else 0.5)


@pytest.mark.parametrize("inputs", [1, 33, 36, 64])
@pytest.mark.parametrize("transposed", [True, False])
def test_an_int8_layer_may_have_any_size_and_its_input_any_layout(inputs: int, transposed: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    small = Int8Linear(torch.randn(7, inputs, generator=generator).bfloat16(), None)
    x = torch.randn(inputs, 3, generator=generator).bfloat16().T
    expected = x.float() @ (small.weight.float() * small.scale.float()[:, None]).T
    found = small(x if transposed else x.contiguous())
    assert (found.float() - expected).abs().amax() <= 0.02 * expected.abs().amax()


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_every_linear_layer_is_rounded(kind: str) -> None:
    network = network_of(kind)
    before = network(torch.tensor([[3, 4, 5]])).logits
    round_weights(network)
    kinds = [type(module).__name__ for module in network.modules()]
    assert "Linear" not in kinds
    assert "Conv1D" not in kinds
    after = network(torch.tensor([[3, 4, 5]])).logits
    assert 0 < (after - before).square().mean().sqrt() < 0.2 * before.std()


@pytest.mark.parametrize(("kind", "tied"), [("gpt2", True), ("llama", True), ("llama", False)])
def test_rounded_weights_are_parameters_too(kind: str, tied: bool) -> None:
    network = network_of(kind, tie_word_embeddings=tied)
    many = count_parameters(network)
    assert many == sum(parameter.numel() for parameter in network.parameters())
    round_weights(network)
    assert count_parameters(network) == many
