"""Muon, batched: the matrices of a network grouped by shape, orthogonalised together.

Muon (Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces the momentum of each
weight matrix by the nearest semi-orthogonal matrix, by five Newton-Schulz iterations. `torch.optim.Muon` does
so one matrix at a time; small matrices leave a CPU idle between calls, so here equal shapes form one batch. A
fused projection is split along its rows first: query, key and value are three matrices, not one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.training.bfloat16 import has_bfloat16

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


@dataclass(frozen=True)
class Matrix:
    """A weight matrix and how many equal parts its rows are fused from."""

    weight: Tensor
    parts: int = 1


class BatchedMuon:
    """Muon with Nesterov momentum over a fixed set of matrices."""

    def __init__(self, matrices: Sequence[Matrix], momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        self._matrices = list(matrices)
        self._momentum = momentum
        self._weight_decay = weight_decay
        self._buffers = [torch.zeros_like(matrix.weight) for matrix in self._matrices]
        self._groups = _group_by_shape(self._matrices)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every matrix from its gradient, and clear the gradient."""
        updates = [self._momentum_of(index) for index in range(len(self._matrices))]
        for shape, members in self._groups.items():
            stacked = torch.stack(
                [_oriented(updates[index].chunk(parts)[part]) for index, parts, part in members]
            )
            orthogonal = orthogonalise(stacked)
            # Keller Jordan's scale: the update's typical entry is that of a square matrix's.
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for (index, parts, part), update in zip(members, orthogonal, strict=True):
                weight = self._matrices[index].weight.chunk(parts)[part]
                weight.mul_(1 - learning_rate * self._weight_decay)
                weight.add_(
                    update if update.shape == weight.shape else update.mT, alpha=-learning_rate * scale
                )
        for matrix in self._matrices:
            matrix.weight.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """The momentum buffers, by index; writing into them restores the state."""
        return {str(index): buffer for index, buffer in enumerate(self._buffers)}

    def _momentum_of(self, index: int) -> Tensor:
        gradient = self._matrices[index].weight.grad
        if gradient is None:
            raise RuntimeError(f"matrix {index} has no gradient: call backward() before step()")
        buffer = self._buffers[index]
        buffer.lerp_(gradient, 1 - self._momentum)
        return gradient.lerp(buffer, self._momentum)


def orthogonalise(batch: Tensor) -> Tensor:
    """Nearly orthogonal factors of a batch (N, R, C) of matrices with R <= C, singular values about 0.7 to
    1.2.

    Quintic Newton-Schulz, five iterations, in bfloat16 where the device has it. Wide matrices in float32 are
    iterated by their Gram matrices, which takes 0.6 times the time for C = 4 R, and more for squares.
    """
    x = batch / (batch.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if has_bfloat16(batch.device):  # too coarse for Gram matrices, whose small values are squares
        return _iterated(x.bfloat16()).to(batch.dtype)
    return _iterated_by_gram(x) if batch.shape[2] >= 2 * batch.shape[1] else _iterated(x)


def _iterated(x: Tensor) -> Tensor:
    """x -> (a + b G + c G^2) x with G = x x', so many times."""
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _iterated_by_gram(x: Tensor) -> Tensor:
    """The same by matrices (R, R) alone. The factors F of x are polynomials of G, so that they commute with
    it: x -> F x makes G -> F G F, and the factors are multiplied together before they meet x."""
    a, b, c = _COEFFICIENTS
    gram = x @ x.mT
    product = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)
    for step in range(_ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor @ product if step else factor
        if step < _ITERATIONS - 1:
            gram = factor @ gram @ factor
    return product @ x


def _oriented(matrix: Tensor) -> Tensor:
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _group_by_shape(matrices: Sequence[Matrix]) -> dict[tuple[int, int], list[tuple[int, int, int]]]:
    """Shape of the parts to the members (matrix index, parts, part) that have it."""
    groups: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        rows, columns = matrix.weight.shape
        for part in range(matrix.parts):
            groups[rows // matrix.parts, columns].append((index, matrix.parts, part))
    return dict(groups)
