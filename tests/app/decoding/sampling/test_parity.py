"""Every transform against the same written out in float64 from its formula."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from app.decoding.sampling.cuts import (
    apply_epsilon_cutoff,
    apply_eta_cutoff,
    apply_min_p,
    apply_p_less,
    apply_top_a,
    apply_top_n_sigma,
    apply_xtc,
)
from app.decoding.sampling.feedback import apply_adaptive_p, apply_mirostat, apply_mirostat_v2
from app.decoding.sampling.ranked import (
    apply_tfs,
    apply_top_h,
    apply_top_k,
    apply_top_p,
    apply_typical_p,
)
from app.decoding.sampling.temperature import (
    apply_dynamic_temperature,
    apply_edt,
    apply_smoothing,
    apply_temperature,
)
from tests.app.decoding.sampling import reference
from tests.app.decoding.sampling.rows import cases

NUDGE = 2e-6


def always_xtc(logits: Tensor, threshold: Tensor) -> Tensor:
    rows = len(logits)
    return apply_xtc(logits, torch.ones(rows), threshold, torch.full((rows,), 0.99, dtype=torch.float64))


def p_less(logits: Tensor, _: Tensor) -> Tensor:
    return apply_p_less(logits)


CUTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], list[float]]] = {
    "top_k": (apply_top_k, [1, 2, 5, 80, 10_000]),
    "top_p": (apply_top_p, [0.0, 0.01, 0.5, 0.9, 0.999]),
    "typical_p": (apply_typical_p, [0.0, 0.05, 0.5, 0.9, 0.999]),
    "min_p": (apply_min_p, [0.001, 0.05, 0.5, 1.0]),
    "top_n_sigma": (apply_top_n_sigma, [0.01, 0.5, 1.0, 3.0, 100.0]),
    "epsilon_cutoff": (apply_epsilon_cutoff, [1e-9, 3e-4, 0.03, 0.3, 1.0]),
    "eta_cutoff": (apply_eta_cutoff, [1e-9, 3e-4, 0.03, 0.3, 1.0]),
    "p_less": (p_less, [0.0]),
    "top_a": (apply_top_a, [1e-4, 0.1, 0.5, 1.0]),
    "top_h": (apply_top_h, [0.0, 0.1, 0.4, 0.7, 0.95]),
    "tfs": (apply_tfs, [0.0, 0.3, 0.9, 0.97, 0.999]),
    "xtc": (always_xtc, [0.001, 0.03, 0.1, 0.4, 0.5]),
    "mirostat_v1": (apply_mirostat, [-3.0, 0.0, 0.7, 2.0, 5.0, 10.0]),
    "mirostat_v2": (apply_mirostat_v2, [-3.0, 0.0, 0.7, 2.0, 5.0, 10.0]),
}

Reshape = tuple[Callable[..., Tensor], Callable[..., reference.Row], list[tuple[float, ...]]]
RESHAPES: dict[str, Reshape] = {
    "temperature": (
        apply_temperature,
        reference.temperature,
        [(1e-30,), (0.1,), (0.7,), (1.0,), (3.0,), (100.0,)],
    ),
    "dynamic_temperature": (
        apply_dynamic_temperature,
        reference.dynamic_temperature,
        [(1.0, 0.5, 1.0), (0.7, 0.7, 2.0), (1.2, 3.0, 0.5), (0.3, 0.2, 0.0)],
    ),
    "edt": (apply_edt, reference.edt, [(1.0, 0.8, 0.1), (0.6, 0.8, 1.5), (1.5, 0.3, 0.01), (1.0, 1.0, 2.0)]),
    "smoothing": (apply_smoothing, reference.smoothing, [(0.2, 1.0), (1.5, 1.0), (0.3, 2.5), (0.1, 4.0)]),
    "adaptive_p": (apply_adaptive_p, reference.adaptive_p, [(0.0,), (0.2,), (0.55,), (1.0,)]),
}
ROWS = cases()
NAMES = [name for name, _ in ROWS]


def parameter(values: float, rows: int) -> Tensor:
    return torch.full((rows,), values, dtype=torch.int64 if isinstance(values, int) else torch.float32)


@pytest.mark.parametrize(("label", "logits"), ROWS, ids=NAMES)
@pytest.mark.parametrize("name", CUTS)
def test_cuts_keep_what_the_formula_keeps(name: str, label: str, logits: Tensor) -> None:
    transform, values = CUTS[name]
    cut = reference.CUTS[name]
    before = logits.clone()
    doubtful = 0
    for value in values:
        ours = transform(logits, parameter(value, len(logits)))
        for row, result in zip(logits.double().numpy(), ours, strict=True):
            kept = (result > -math.inf).numpy()
            possible = row > -math.inf
            assert kept.any()
            one, other = (cut(row, value, nudge) & possible for nudge in (-NUDGE, NUDGE))
            assert np.all(kept >= (one & other)), (value, row)
            assert np.all(kept <= (one | other)), (value, row)
            doubtful += not np.array_equal(one, other)
            probs = result.double().softmax(-1).numpy()
            np.testing.assert_allclose(probs, reference.kept_to_probs(row, kept), atol=1e-6, rtol=0)
    assert torch.equal(logits, before)
    # Otherwise the comparison would say nothing.
    assert label == "all equal" or doubtful <= len(values) * len(logits) // 2


@pytest.mark.parametrize("logits", [rows for _, rows in ROWS], ids=NAMES)
@pytest.mark.parametrize("name", RESHAPES)
def test_reshaped_distributions_are_those_of_the_formula(name: str, logits: Tensor) -> None:
    transform, formula, settings = RESHAPES[name]
    before = logits.clone()
    for values in settings:
        ours = transform(logits, *(parameter(value, len(logits)) for value in values))
        assert torch.equal(torch.isneginf(logits) & torch.isneginf(ours), torch.isneginf(logits))
        for row, result in zip(logits.double().numpy(), ours.double().softmax(-1).numpy(), strict=True):
            np.testing.assert_allclose(result, formula(row, *values), atol=1e-6, rtol=0)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("name", [*CUTS, *RESHAPES])
def test_every_row_has_its_own_parameters(name: str) -> None:
    settings = [(value,) for value in CUTS[name][1]] if name in CUTS else RESHAPES[name][2]
    transform: Callable[..., Tensor] = (CUTS[name] if name in CUTS else RESHAPES[name])[0]
    logits = torch.randn(len(settings), 300, generator=torch.Generator().manual_seed(5)) * 2
    columns = [torch.tensor(column) for column in zip(*settings, strict=True)]
    together = transform(logits, *columns)
    for row in range(len(settings)):
        alone = transform(logits[row : row + 1], *(column[row : row + 1] for column in columns))
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=1e-6)


def test_xtc_cuts_as_often_as_its_coin_says() -> None:
    logits = torch.tensor([[1.0, 1.5, 0.0]]).repeat(4, 1)
    coins = torch.tensor([0.0, 0.29, 0.31, 0.99], dtype=torch.float64)
    cut = partial(apply_xtc, logits, threshold=torch.full((4,), 0.2))
    kept = cut(probability=torch.full((4,), 0.3), coins=coins) > -math.inf
    assert kept.tolist() == [[True, False, True]] * 2 + [[True] * 3] * 2
    assert torch.equal(cut(probability=torch.zeros(4), coins=coins), logits)
