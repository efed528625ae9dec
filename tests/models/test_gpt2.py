from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoder import Decoder
from models.errors import SpecError
from models.gpt2 import GPT2, GPT2Config, Positions
from tests.models.tiny import CONTEXT, tiny_network

NETWORKS: dict[Positions, GPT2] = {"learned": tiny_network("learned"), "rotary": tiny_network("rotary")}


def packed(rows: list[list[list[int]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, positions and document numbers of rows of documents, padded as in training."""
    ids, positions, documents = torch.zeros(3, len(rows), CONTEXT, dtype=torch.int64).unbind()
    for row, texts in enumerate(rows):
        start = 0
        for number, text in enumerate(texts, start=1):
            end = start + len(text)
            ids[row, start:end] = torch.tensor(text)
            positions[row, start:end] = torch.arange(len(text))
            documents[row, start:end] = number
            start = end
    return ids, positions, documents


TEXT = st.lists(st.integers(0, 399), min_size=1, max_size=CONTEXT // 4)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@given(rows=st.lists(st.lists(TEXT, min_size=1, max_size=4), min_size=1, max_size=3))
@settings(max_examples=20)
def test_packed_documents_are_computed_as_if_alone(positions: Positions, rows: list[list[list[int]]]) -> None:
    network = NETWORKS[positions]
    decoder = Decoder(network, "tiny", None)
    with torch.no_grad():
        logits = network(*packed(rows))
    assert bool(torch.isfinite(logits).all())  # padding too: NaN times weight 0 would be NaN
    for row, texts in enumerate(rows):
        start = 0
        for text in texts:
            alone = decoder.score(text).logits
            together = logits[row, start : start + len(text)]
            torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
            start += len(text)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_gradient_reaches_every_weight(positions: Positions) -> None:
    network = tiny_network(positions)
    network(*packed([[[1, 2, 3], [4, 5]]])).logsumexp(-1).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"vocab_size": 0}, "vocab_size is 0; it must be at least 1"),
        ({"context_length": 0}, "context_length is 0"),
        ({"d_model": -8}, "d_model is -8"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"n_heads": 0}, "n_heads is 0"),
        ({"d_model": 32, "n_heads": 5}, "d_model 32 is not a multiple of n_heads 5"),
        ({"d_model": 30, "n_heads": 10}, "rotary positions need an even head size, not 3"),
    ],
)
def test_impossible_shape_is_refused(sizes: dict[str, Any], named: str) -> None:
    values: dict[str, Any] = {"vocab_size": 400} | sizes
    with pytest.raises(SpecError, match=named):
        GPT2Config(**values)


def test_learned_positions_take_an_odd_head_size() -> None:
    assert GPT2Config(400, d_model=30, n_heads=10, positions="learned").head_size == 3
