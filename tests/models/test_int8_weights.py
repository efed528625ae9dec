"""Our own networks with int8 weights: what is rounded, by which kernel, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load, load_network
from models.errors import SpecError
from models.hub.dtypes import Precision
from models.int8_weights import round_rows, with_rounded_weights
from models.tokenizer import Tokenizer
from models.weight_files import weight_bytes
from tests.models.hub import write_checkpoint
from tests.models.native.compiled import needs_native
from tests.models.tiny import random_ids, tiny_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    path = tmp_path_factory.mktemp("int8") / "ours"
    write_checkpoint("rotary", path, tokenizer)
    return path


def test_rows_are_the_nearest_multiples_of_their_own_scale() -> None:
    weight = torch.tensor([[1.27, -0.014, 0.016], [0.0, 0.0, 0.0], [-254.0, 3.1, 0.9]])
    rounded, scale = round_rows(weight)
    assert rounded.tolist() == [[127, -1, 2], [0, 0, 0], [-127, 2, 0]]
    assert scale.tolist() == pytest.approx([0.01, 1.0, 2.0])


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_a_row_with_a_number_that_is_none_has_no_other(number: float) -> None:
    rounded, scale = round_rows(torch.tensor([[1.0, number], [1.0, 2.0]]))
    weight = rounded * scale[:, None]
    assert bool(weight[0].isnan().all())
    assert bool(weight[1].isfinite().all())


def test_rounding_copies_the_network_and_keeps_the_head_tied() -> None:
    network = tiny_network()
    before = network.token_embedding.weight.clone()
    rounded = with_rounded_weights(network)
    assert torch.equal(network.token_embedding.weight, before)
    assert len(rounded.token_embedding.weight[7].unique()) < 256
    assert not torch.equal(rounded.token_embedding.weight, before)


@pytest.mark.parametrize("kernel", ["torch", pytest.param("native", marks=needs_native)])
def test_a_checkpoint_loads_with_int8_weights_by_either_kernel(folder: Path, kernel: Any) -> None:
    exact, rounded = (load(folder, kernel=kernel, precision=each).model for each in ("float32", "int8"))
    assert (exact.spec.dtype, rounded.spec.dtype) == ("float32", "int8")
    assert rounded.spec.kernel == kernel
    assert rounded.spec.parameters == exact.spec.parameters
    ids = random_ids(20)
    logits, near = exact.score(ids).logits, rounded.score(ids).logits
    difference = (near - logits).square().mean().sqrt() / logits.std()
    assert 1e-4 < difference < 0.2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_what_our_own_do_not_compute_in_is_refused(folder: Path, precision: Precision) -> None:
    with pytest.raises(SpecError, match=rf"dtype '{precision}' is for .* one of auto, float32, int8"):
        load(folder, precision=precision)
    wrong: Any = "int4"
    with pytest.raises(SpecError, match="dtype 'int4' is none of auto"):
        load(folder, precision=wrong)


def test_memory_of_int8_weights_is_foretold(folder: Path) -> None:
    network, _ = load_network(folder)
    matrices = sum(
        each.numel()
        for name, each in network.named_parameters()
        if each.dim() == 2 and "position" not in name
    )
    rows = sum(each.shape[0] for each in network.parameters() if each.dim() == 2)
    kept = 4 * (
        network.token_embedding.weight.numel()
        + sum(each.numel() for each in network.parameters() if each.dim() == 1)
    )
    assert weight_bytes(folder, "int8") == matrices + 4 * rows + kept
    assert weight_bytes(folder) == 4 * sum(each.numel() for each in network.parameters())
