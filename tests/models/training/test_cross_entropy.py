import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.training import cross_entropy as module
from models.training.cross_entropy import cross_entropy

TOKENS, WORDS, WIDTH = 50, 37, 8


def given() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(TOKENS, WIDTH, generator=generator).requires_grad_()
    embedding = torch.randn(WORDS, WIDTH, generator=generator).requires_grad_()
    targets = torch.randint(0, WORDS, (TOKENS,), generator=generator)
    return states, embedding, targets, torch.rand(TOKENS, generator=generator)


@pytest.mark.parametrize("held", [1, 5 * 48, 2**20])
def test_loss_and_gradients_are_those_of_all_logits_at_once(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOGITS", held)
    states, embedding, targets, weights = given()
    each = F.cross_entropy(states @ embedding.mT, targets, reduction="none")
    wanted = torch.autograd.grad((each * weights).sum() * 3, (states, embedding))
    loss, nats = cross_entropy(states, embedding, targets, weights)
    found = torch.autograd.grad(loss * 3, (states, embedding))
    torch.testing.assert_close(loss, (each * weights).sum())
    torch.testing.assert_close(nats, each)
    assert not nats.requires_grad
    torch.testing.assert_close(found, wanted)


def test_products_follow_autocast() -> None:
    states, embedding, targets, weights = given()
    exact = torch.autograd.grad(cross_entropy(states, embedding, targets, weights)[0], (states, embedding))
    with torch.autocast("cpu", torch.bfloat16):
        loss, nats = cross_entropy(states, embedding, targets, weights)
    found = torch.autograd.grad(loss, (states, embedding))
    assert nats.dtype == loss.dtype == torch.float32
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)
        assert not torch.equal(one, other)
