import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.training.muon import BatchedMuon, Matrix, orthogonalise

RATE = 0.05


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    st.integers(1, 4),
    st.integers(2, 48),
    st.integers(0, 48),
    st.floats(1e-6, 1e6),
    st.integers(0, 2**32),
)
def test_singular_values_come_near_one_and_singular_vectors_stay(
    count: int, rows: int, more: int, scale: float, seed: int
) -> None:
    # Values within a factor of ten of each other: five iterations can lift a smaller one only so far.
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(count, rows, rows + more, generator=generator)
    left, _, right = torch.linalg.svd(random, full_matrices=False)
    values = 0.1 + 0.9 * torch.rand(count, rows, generator=generator)
    result = orthogonalise(scale * (left * values[:, None]) @ right)
    assert result.shape == random.shape
    assert result.dtype == torch.float32
    found = left.mT @ result @ right.mT
    diagonal = found.diagonal(dim1=1, dim2=2)
    assert float(diagonal.min()) > 0.6
    assert float(diagonal.max()) < 1.3
    assert float((found - torch.diag_embed(diagonal)).abs().max()) < 0.05


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 4, 16)])
def test_zero_matrix_stays_zero(shape: tuple[int, int, int]) -> None:
    assert not orthogonalise(torch.zeros(shape)).any()


def test_wide_matrices_end_as_by_plain_iterations_though_their_gram_matrix_is_iterated() -> None:
    random = gaussian(3, 24, 96)
    wide = torch.linalg.qr(gaussian(3, 24, 24))[0] * torch.logspace(0, -5, 24) @ random
    x = (wide / wide.norm(dim=(1, 2), keepdim=True)).double()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    torch.testing.assert_close(orthogonalise(wide).double(), x, atol=1e-3, rtol=0)


SHAPES = [(16, 16), (8, 24), (24, 8), (16, 16), (8, 24)]


def weights(seed: int = 0) -> list[Tensor]:
    return [gaussian(*shape, seed=seed + index).requires_grad_() for index, shape in enumerate(SHAPES)]


def give_gradients(matrices: list[Tensor], step: int) -> None:
    for index, matrix in enumerate(matrices):
        matrix.grad = gaussian(*matrix.shape, seed=100 * step + index)


def test_batched_equals_one_by_one() -> None:
    together, alone = weights(), weights()
    batched = BatchedMuon([Matrix(weight) for weight in together])
    single = [BatchedMuon([Matrix(weight)]) for weight in alone]
    for step in range(3):
        give_gradients(together, step)
        give_gradients(alone, step)
        batched.step(RATE)
        for optimiser in single:
            optimiser.step(RATE)
    for left, right in zip(together, alone, strict=True):
        torch.testing.assert_close(left, right, atol=0.01 * RATE, rtol=0)


def test_fused_matrix_is_its_parts() -> None:
    fused = gaussian(3 * 8, 16).requires_grad_()
    parts = [part.detach().clone().requires_grad_() for part in fused.chunk(3)]
    for step in range(3):
        fused.grad = gaussian(3 * 8, 16, seed=step)
        for part, gradient in zip(parts, fused.grad.chunk(3), strict=True):
            part.grad = gradient.clone()
    whole, split = BatchedMuon([Matrix(fused, parts=3)]), BatchedMuon([Matrix(part) for part in parts])
    whole.step(RATE)
    split.step(RATE)
    assert torch.equal(fused, torch.cat(parts))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_update_is_that_of_torch(weight_decay: float) -> None:
    """torch divides by the norm in bfloat16, ours in float32, so updates differ by its rounding."""
    ours, theirs = weights(), weights()
    muon = BatchedMuon([Matrix(weight) for weight in ours], momentum=0.9, weight_decay=weight_decay)
    reference = torch.optim.Muon(theirs, lr=RATE, momentum=0.9, weight_decay=weight_decay)
    for step in range(4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        muon.step(RATE)
        reference.step()
    for left, right, start in zip(ours, theirs, weights(), strict=True):
        assert (left - start).abs().max() > 0.3 * RATE
        torch.testing.assert_close(left, right, atol=0.1 * RATE, rtol=0)


def test_step_clears_the_gradients_and_needs_new_ones() -> None:
    matrices = weights()
    muon = BatchedMuon([Matrix(weight) for weight in matrices])
    give_gradients(matrices, 0)
    muon.step(RATE)
    assert all(matrix.grad is None for matrix in matrices)
    with pytest.raises(RuntimeError, match="matrix 0 has no gradient"):
        muon.step(RATE)
