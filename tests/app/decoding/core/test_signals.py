"""Signals against scipy, and against sums written out in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.decoding.core.signals import SIGNALS, Distribution, largest

LOGITS = st.lists(
    st.one_of(st.floats(-60, 60, width=32), st.just(-math.inf)), min_size=1, max_size=40
).filter(lambda row: max(row) > -math.inf)


def compute(name: str, row: list[float], chosen: int = 0) -> float:
    distribution = Distribution(torch.tensor([row]), torch.tensor([chosen]))
    value = SIGNALS[name].compute(distribution)
    assert value.shape == (1,)
    assert value.dtype == torch.float32
    return value.item()


def probabilities(row: list[float]) -> np.ndarray:
    logits = np.array(row, dtype=np.float64)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@given(LOGITS)
def test_entropy_is_scipys(row: list[float]) -> None:
    assert compute("entropy", row) == pytest.approx(stats.entropy(probabilities(row)), abs=1e-5)


@given(LOGITS)
def test_varentropy_is_the_variance_of_information(row: list[float]) -> None:
    p = probabilities(row)
    p = p[p > 0]
    information = -np.log(p)
    mean = (p * information).sum()
    expected = (p * (information - mean) ** 2).sum()
    assert compute("varentropy", row) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(LOGITS, st.data())
def test_surprisal_is_minus_the_log_probability_of_the_choice(row: list[float], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from([i for i, logit in enumerate(row) if logit > -math.inf]))
    logits = np.array(row, dtype=np.float64)
    expected = np.logaddexp.reduce(logits) - logits[chosen]
    assert compute("surprisal", row, chosen) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(LOGITS)
def test_max_probability_and_margin(row: list[float]) -> None:
    ordered = sorted(probabilities(row), reverse=True)
    assert compute("max_probability", row) == pytest.approx(ordered[0], abs=1e-6)
    second = ordered[1] if len(ordered) > 1 else 0.0
    assert compute("margin", row) == pytest.approx(ordered[0] - second, abs=1e-6)


@given(LOGITS)
def test_confidence_is_the_mean_surprisal_of_the_likeliest(row: list[float]) -> None:
    logits = np.array(row, dtype=np.float64)
    surprisals = sorted(np.logaddexp.reduce(logits) - logits)[:20]
    expected = sum(min(value, 200.0) for value in surprisals) / len(surprisals)
    assert compute("confidence", row) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(LOGITS, st.floats(-50, 50))
def test_adding_a_constant_to_all_logits_changes_nothing(row: list[float], shift: float) -> None:
    for name in ("entropy", "varentropy", "max_probability", "margin", "confidence"):
        moved = compute(name, [logit + shift for logit in row])
        assert moved == pytest.approx(compute(name, row), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("size", [1, 2, 7, 50_257])
def test_bounds_are_reached_exactly_enough(size: int) -> None:
    uniform = [3.0] * size
    assert compute("entropy", uniform) == pytest.approx(math.log(size), abs=1e-5)
    assert compute("varentropy", uniform) == pytest.approx(0.0, abs=1e-6)
    certain = [1e4] + [-1e4] * (size - 1)
    for name, value in {
        "entropy": 0.0,
        "varentropy": 0.0,
        "surprisal": 0.0,
        "max_probability": 1.0,
        "margin": 1.0,
    }.items():
        assert compute(name, certain) == value
        assert math.copysign(1, compute(name, certain)) == 1


def test_rows_of_a_batch_do_not_mix_and_the_logits_stay() -> None:
    logits = torch.randn(5, 300, generator=torch.Generator().manual_seed(1)) * 4
    before = logits.clone()
    chosen = torch.arange(5)
    for signal in SIGNALS.values():
        together = signal.compute(Distribution(logits, chosen))
        for row in range(5):
            alone = signal.compute(Distribution(logits[row : row + 1], chosen[row : row + 1]))
            assert together[row] == pytest.approx(alone.item(), abs=1e-6)
    assert torch.equal(logits, before)


def test_large_vocabularies_are_read_in_blocks_and_give_the_same() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(23, 50_257, generator=generator) * 3
    logits[2, :50_000] = -math.inf
    logits[3, [7, 50_256]] = 40.0
    log_probs = logits.double().log_softmax(-1)
    probs = log_probs.exp()
    finite = log_probs.clamp_min(-200.0)
    entropies = -(probs * finite).sum(-1)
    ordered = log_probs.sort(descending=True).values
    expected = {
        "entropy": entropies,
        "varentropy": (probs * (finite + entropies[:, None]).square()).sum(-1),
        "max_probability": ordered[:, 0].exp(),
        "margin": ordered[:, 0].exp() - ordered[:, 1].exp(),
        "confidence": -ordered[:, :20].clamp_min(-200.0).mean(-1),
    }
    distribution = Distribution(logits)
    for name, values in expected.items():
        found = SIGNALS[name].compute(distribution).double()
        torch.testing.assert_close(found, values, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 19, 64, 2560, 2561, 2700, 5000])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_the_largest_are_those_of_sorting(size: int, count: int) -> None:
    numbers = torch.randint(0, 900, (3, size), generator=torch.Generator().manual_seed(size)).float()
    numbers[1] = -math.inf
    expected = numbers.sort(descending=True).values[:, :count]
    assert torch.equal(largest(numbers, count), expected)


def test_the_catalogue_says_what_each_number_is() -> None:
    names = ["entropy", "varentropy", "surprisal", "max_probability", "margin", "confidence"]
    assert list(SIGNALS) == names
    for name, signal in SIGNALS.items():
        assert signal.name == name
        assert signal.description.endswith(".")
    # What "higher means" is tested on a certain and an uncertain distribution.
    certain, uncertain = [9.0, 0.0, 0.0, 0.0], [1.2, 1.0, 0.8, 0.9]
    for name, signal in SIGNALS.items():
        rises = compute(name, uncertain, 1) > compute(name, certain, 0)
        if name != "varentropy":  # how uneven, not how much: high in between
            assert rises == (signal.higher_means == "uncertain")
