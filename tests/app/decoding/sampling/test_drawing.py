"""The draw: the right distribution, the documented inverse, and no impossible token."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.decoding.core.randomness import uniform
from app.decoding.sampling.drawing import draw

ALMOST_ONE = 1 - 2**-53


def test_a_hundred_thousand_draws_pass_a_chi_square() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, -math.inf, 1.1, 0.0, -4.0])
    n = 100_000
    points = torch.tensor([uniform(11, (0,), position, 0) for position in range(n)], dtype=torch.float64)
    ids = torch.cat([draw(logits.expand(len(part), -1), part) for part in points.split(10_000)])
    observed = np.bincount(ids.numpy(), minlength=7)
    assert observed[3] == 0
    expected = logits.double().softmax(-1).numpy() * n
    possible = expected > 0
    assert stats.chisquare(observed[possible], expected[possible]).pvalue > 0.001


@given(
    st.lists(st.one_of(st.floats(-20, 20, width=32), st.just(-math.inf)), min_size=1, max_size=20).filter(
        lambda row: max(row) > -math.inf
    ),
    st.floats(0, ALMOST_ONE),
)
def test_it_is_the_inverse_cdf_in_order_of_ids(row: list[float], point: float) -> None:
    chosen = draw(torch.tensor([row]), torch.tensor([point], dtype=torch.float64)).item()
    p = np.exp(np.array(row, dtype=np.float64) - max(row))
    cumulative = np.concatenate(([0.0], np.cumsum(p / p.sum())))
    assert isinstance(chosen, int)
    assert row[chosen] > -math.inf
    assert cumulative[chosen] - 1e-6 <= point <= cumulative[chosen + 1] + 1e-6


@pytest.mark.parametrize("point", [0.0, 5e-324, 0.5, ALMOST_ONE])
def test_the_ends_of_the_interval_pick_possible_tokens(point: float) -> None:
    logits = torch.full((1, 50_257), -math.inf)
    logits[0, 17] = 0.0
    logits[0, 40_000] = 1.0
    chosen = draw(logits, torch.tensor([point], dtype=torch.float64)).item()
    assert chosen == (40_000 if point >= 0.5 else 17)


@pytest.mark.parametrize("vocab_size", [4096, 4097, 50_257])
@pytest.mark.parametrize("spread", [0.0, 3.0, 40.0])
def test_a_vocabulary_of_any_size_is_inverted_alike(vocab_size: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(vocab_size)
    logits = torch.randn(300, vocab_size, generator=generator) * spread
    logits[:, ::2] = -math.inf
    points = torch.rand(300, generator=generator, dtype=torch.float64)
    chosen = draw(logits, points)
    assert torch.all(logits.gather(-1, chosen.unsqueeze(-1)) > -math.inf)
    cumulative = logits.double().softmax(-1).cumsum(-1)
    upper = cumulative.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    lower = cumulative.gather(-1, (chosen - 1).clamp_min(0).unsqueeze(-1)).squeeze(-1)
    assert torch.all(points <= upper + 1e-6)
    assert torch.all((points >= lower - 1e-6) | (chosen <= 1))


def test_a_large_flat_vocabulary_loses_no_mass() -> None:
    logits = torch.zeros(1, 50_257)
    chosen = draw(logits, torch.tensor([ALMOST_ONE], dtype=torch.float64))
    assert chosen.item() == 50_256


@pytest.mark.parametrize("vocab_size", [3, 4096, 4097, 5000])
@pytest.mark.parametrize("point", [0.0, 0.5, ALMOST_ONE])
def test_rows_from_which_nothing_can_be_drawn_give_no_id_and_leave_the_others_alone(
    vocab_size: int, point: float
) -> None:
    logits = torch.zeros(5, vocab_size)
    logits[0, 0] = math.nan
    logits[1, 1] = 90.0
    logits[2, 0] = math.inf
    logits[3] = -math.inf
    logits[4, -1] = math.nan
    chosen = draw(logits, torch.full((5,), point, dtype=torch.float64)).tolist()
    assert chosen[1] == (0 if point == 0 else 1)
    assert [chosen[row] for row in (0, 2, 3, 4)] == [vocab_size] * 4
