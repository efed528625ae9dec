"""All rows in one pass where that is right, and one after the other where it is not."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from models.errors import ArtifactError, CapacityError
from models.hub.batched import BatchedModel
from models.hub.choosing import hub_model
from models.hub.masks import additive_masks, windows_of
from models.hub.row_by_row import RowByRowModel
from models.language_model import PrefillRow
from tests.models.architectures import WINDOW, network_of

pytestmark = pytest.mark.filterwarnings("ignore")


def reason(network: Any, caplog: pytest.LogCaptureFixture) -> str:
    """Why it is run row by row."""
    with caplog.at_level(logging.INFO, logger="models"):
        model = hub_model(network, "mine")
    assert isinstance(model, RowByRowModel)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()


def test_what_runs_together_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="models"):
        assert isinstance(hub_model(network_of("mistral"), "mine"), BatchedModel)
    assert caplog.messages == ["mine runs all rows in one forward pass"]


def test_what_refuses_the_cache_runs_row_by_row(caplog: pytest.LogCaptureFixture) -> None:
    assert "mine runs its rows one after the other, which is slow: it refuses (" in reason(
        network_of("bloom"), caplog
    )


@pytest.mark.parametrize("kind", ["mistral", "gemma3_text"])
def test_what_differs_runs_row_by_row(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows that are one too wide are noticed, though real ones are longer than the check's texts."""

    def wide(windows: dict[str, int | None], *rest: Any) -> Tensor | dict[str, Tensor]:
        return additive_masks({each: window and window + 1 for each, window in windows.items()}, *rest)

    monkeypatch.setattr("models.hub.batched.additive_masks", wide)
    network = network_of(kind, sliding_window=1000)
    assert "together its logits differ by" in reason(network, caplog)
    assert network.config.sliding_window == 1000


def test_positions_that_depend_on_the_longest_row_run_row_by_row(caplog: pytest.LogCaptureFixture) -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    network = network_of("llama", rope_parameters=rope)
    assert "its dynamic positions depend on the longest row" in reason(network, caplog)


@pytest.mark.parametrize(
    ("types", "named"),
    [
        (["full_attention", "odd_attention"], "it has layers of the type odd_attention"),
        (["sliding_attention"], "its config gives no sliding_window"),
    ],
)
def test_layers_that_are_not_known_are_refused(types: list[str], named: str) -> None:
    config = network_of("llama").config
    config.layer_types = types
    with pytest.raises(ArtifactError, match=named):
        windows_of(config)


def test_gap_in_a_slot_is_refused_row_by_row() -> None:
    model = hub_model(network_of("bloom"), "mine")
    cache = model.new_cache(1, 8)
    model.prefill(cache, [PrefillRow(0, 0, (1, 2))])
    with pytest.raises(CapacityError, match="slot 0 holds 2 positions; the next cannot be 3"):
        model.prefill(cache, [PrefillRow(0, 3, (1,))])


def test_a_pass_that_failed_half_way_can_be_run_again_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when there was no memory for it: some layers hold more then than others."""
    network = network_of("bloom")
    model = hub_model(network, "mine")
    cache, ids = model.new_cache(1, 24), tuple(range(3, 23))
    model.prefill(cache, [PrefillRow(0, 0, ids[:12])])

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(cache.rows[0].layers[1], "update", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            model.prefill(cache, [PrefillRow(0, 12, ids[12:])])
    found = model.prefill(cache, [PrefillRow(0, 12, ids[12:])]).logits[0]
    torch.testing.assert_close(found, model.score(ids).logits[-1], atol=1e-4, rtol=0)


def test_masks_by_layer_type() -> None:
    positions = torch.tensor([[2, 3], [5, 5]])
    windows = {"full_attention": None, "sliding_attention": 2, "chunked_attention": 4}
    masks = additive_masks(windows, positions, 6, torch.float32)
    assert isinstance(masks, dict)
    seen = {kind: (mask[:, 0] == 0).nonzero().tolist() for kind, mask in masks.items()}
    assert seen["full_attention"] == [
        [row, column, each]
        for row, texts in enumerate(positions.tolist())
        for column, last in enumerate(texts)
        for each in range(last + 1)
    ]
    assert [each for row, column, each in seen["sliding_attention"] if (row, column) == (0, 1)] == [2, 3]
    assert [each for row, column, each in seen["chunked_attention"] if (row, column) == (1, 0)] == [4, 5]
    alone = additive_masks({"sliding_attention": WINDOW}, positions, 6, torch.bfloat16)
    assert isinstance(alone, Tensor)
    assert alone.dtype == torch.bfloat16
