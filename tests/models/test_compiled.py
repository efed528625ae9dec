"""Compiled steps are those of the network, for any number of rows, and compiled once."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from models.errors import ArtifactError
from models.hub.batched import BatchedModel
from models.hub.choosing import hub_model
from models.hub.compiled import COMPILED, CompiledModel
from models.hub.description import describe
from models.hub.residual_stream import ResidualStream
from tests.models.architectures import network_of
from tests.models.test_architectures import TOLERANCE, Program

pytestmark = pytest.mark.filterwarnings("ignore")

TRACED = "eager"
"""torch's name for running what was traced, without a compiler behind it: seconds instead of a minute."""


@pytest.fixture(autouse=True)
def forget_compiled() -> Iterator[None]:
    yield
    torch.compiler.reset()


def compiled_of(network: Any, backend: str) -> CompiledModel:
    spec = describe(network, "mine")
    stream = ResidualStream(network, spec.n_layers)
    return CompiledModel(BatchedModel(network, spec, stream), network, stream, backend)


def run(kind: str, backend: str) -> float:
    """The largest difference from transformers over a random history, run by what was compiled alone."""
    model = compiled_of(network_of(kind), backend)
    assert model.spec.kernel == COMPILED
    # A network of its own to compare with, since transformers puts hooks on one whose states are asked for.
    with torch.compiler.set_stance("fail_on_recompile"):
        return Program(network_of(kind), model, seed=3).run()


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_any_history_is_what_transformers_computes_of_the_text(kind: str) -> None:
    assert run(kind, TRACED) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "gemma3_text", "gpt2", "gpt_oss"])
def test_so_it_is_with_the_compiler(kind: str) -> None:
    assert run(kind, "inductor") < TOLERANCE


def test_what_computes_otherwise_is_refused_and_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def everything(_: Any, positions: Tensor, reach: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(len(positions), 1, 1, reach, dtype=dtype)

    monkeypatch.setattr("models.hub.compiled.additive_masks", everything)
    network = network_of("llama")
    before = [block.forward for block in network.model.layers]
    with pytest.raises(ArtifactError, match="compiled its logits differ by"):
        compiled_of(network, TRACED)
    assert [block.forward for block in network.model.layers] == before


def test_one_that_no_compiler_takes_runs_without(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompiledModel.__init__, "__defaults__", ("no_such_compiler",))
    with caplog.at_level(logging.WARNING, logger="models"):
        model = hub_model(network_of("llama"), "mine", compiled=True)
    assert isinstance(model, BatchedModel)
    (message,) = caplog.messages
    assert message.startswith("mine is not compiled: torch.compile fails (")


def test_layers_on_several_devices_are_not_compiled() -> None:
    network = network_of("llama")
    network.hf_device_map = {"model.layers.0": 0, "model.layers.1": "cpu"}
    with pytest.raises(ArtifactError, match="shared out among devices"):
        compiled_of(network, TRACED)
