import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.gpt2 import GPT2
from models.pretrain import new_network
from models.training.data import batch_source
from models.training.loss import loss_function
from tests.models.runs import CONFIG

CPU = torch.device("cpu")
TOKENIZER = CONFIG.corpus.make_tokenizer()


def test_losses_and_gradients_are_those_of_plain_logits() -> None:
    network = new_network(CONFIG, TOKENIZER)
    batch = batch_source(CONFIG, TOKENIZER, 0, 1)(0)
    ids, positions, documents, targets, weights = (
        torch.from_numpy(array)
        for array in (batch.token_ids, batch.positions, batch.documents, batch.targets, batch.weights)
    )
    each = F.cross_entropy(
        network(ids, positions, documents).flatten(0, 1), targets.flatten(), reduction="none"
    ).view_as(weights)
    wanted = ((each * weights).sum() / weights.sum(), each[weights == 1].mean())
    found = loss_function(network, CPU, compile_network=False)(batch)
    assert found.tolist() == pytest.approx([each.item() for each in wanted], abs=1e-5)
    pairs = zip(gradients(found[0], network), gradients(wanted[0], network), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def gradients(loss: Tensor, network: GPT2) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(network.parameters()))


def test_what_weighs_nothing_does_not_count() -> None:
    network = new_network(CONFIG, TOKENIZER)
    batch = batch_source(CONFIG, TOKENIZER, 0, 1)(0)
    losses_of = loss_function(network, CPU, compile_network=False)
    before = losses_of(batch)
    batch.targets[batch.weights == 0] = 1
    assert torch.equal(losses_of(batch), before)
    batch.targets[np.nonzero(batch.weights)] = 1
    assert not torch.equal(losses_of(batch), before)
