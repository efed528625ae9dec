"""Transforms against transformers' logits processors, and against sets written out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from app.decoding.sampling.cuts import apply_epsilon_cutoff, apply_eta_cutoff, apply_min_p
from app.decoding.sampling.ranked import apply_top_h, apply_top_k, apply_top_p, apply_typical_p
from app.decoding.sampling.temperature import apply_temperature
from tests.app.decoding.sampling.transformers_reference import process

Transform = Callable[[Tensor, Tensor], Tensor]

CASES: list[tuple[str, Transform, Callable[[float], LogitsProcessor], list[float]]] = [
    ("temperature", apply_temperature, lambda value: TemperatureLogitsWarper(value), [0.1, 0.7, 1.0, 3.0]),
    ("top_k", apply_top_k, lambda value: TopKLogitsWarper(int(value)), [1, 2, 40, 10_000]),
    ("top_p", apply_top_p, lambda value: TopPLogitsWarper(value), [0.01, 0.5, 0.9, 0.999]),
    ("min_p", apply_min_p, lambda value: MinPLogitsWarper(value), [0.001, 0.05, 0.5, 1.0]),
    ("epsilon", apply_epsilon_cutoff, lambda value: EpsilonLogitsWarper(value), [1e-6, 3e-4, 0.02, 0.4]),
    ("eta", apply_eta_cutoff, lambda value: EtaLogitsWarper(value), [1e-6, 3e-4, 0.02, 0.4]),
    ("typical_p", apply_typical_p, lambda value: TypicalLogitsWarper(value), [0.05, 0.5, 0.9, 0.999]),
]
NAMES = [name for name, *_ in CASES]
SPREADS = [0.1, 1.0, 5.0]  # nearly flat, ordinary, peaked


def logits_of(spread: float, vocab_size: int, seed: int = 0, rows: int = 6) -> Tensor:
    return torch.randn(rows, vocab_size, generator=torch.Generator().manual_seed(seed)) * spread


def parameter(values: list[float]) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize(("transform", "processor", "values"), [case[1:] for case in CASES], ids=NAMES)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("vocab_size", [1, 5, 700, 3000])
def test_distributions_are_those_of_transformers(
    transform: Transform,
    processor: Callable[[float], LogitsProcessor],
    values: list[float],
    spread: float,
    vocab_size: int,
) -> None:
    logits = logits_of(spread, vocab_size)
    before = logits.clone()
    for value in values:
        ours = transform(logits, parameter([value] * len(logits)))
        theirs = process(processor(value), logits)
        assert torch.equal(ours == -math.inf, theirs == -math.inf)
        torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), atol=1e-6, rtol=0)
    assert torch.equal(logits, before)


@pytest.mark.parametrize(("transform", "processor", "values"), [case[1:] for case in CASES], ids=NAMES)
def test_every_row_has_its_own_parameter(
    transform: Transform, processor: Callable[[float], LogitsProcessor], values: list[float]
) -> None:
    logits = logits_of(2.0, 500, rows=len(values))
    ours = transform(logits, parameter(values))
    for row, value in enumerate(values):
        theirs = process(processor(value), logits[row : row + 1])
        torch.testing.assert_close(ours[row].softmax(-1), theirs[0].softmax(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("transform", "processor", "values"), [case[1:] for case in CASES], ids=NAMES)
def test_tokens_that_are_removed_already_stay_removed(
    transform: Transform, processor: Callable[[float], LogitsProcessor], values: list[float]
) -> None:
    logits = logits_of(2.0, 400)
    logits[:, ::3] = -math.inf
    logits[0, 1:] = -math.inf
    logits[0, 0] = 1.0
    for value in values:
        ours = transform(logits, parameter([value] * len(logits)))
        theirs = process(processor(value), logits)
        torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("vocab_size", [1, 5, 100])
def test_top_h_is_that_of_transformers_where_that_looks_at_every_token(
    spread: float, vocab_size: int
) -> None:
    logits = logits_of(spread, vocab_size)
    for value in [0.01, 0.3, 0.4, 0.8]:
        ours = apply_top_h(logits, parameter([value] * len(logits)))
        theirs = process(TopHLogitsWarper(value), logits)
        torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), atol=1e-6, rtol=0)


ROW = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, -2.0, -math.inf]), min_size=1, max_size=12).filter(
    lambda row: max(row) > -math.inf
)


def kept(transform: Transform, row: list[float], value: float) -> set[int]:
    result = transform(torch.tensor([row]), torch.tensor([value]))[0].tolist()
    return {i for i, logit in enumerate(result) if logit > -math.inf}


def probabilities(row: list[float]) -> list[float]:
    weights = [math.exp(logit) for logit in row]
    return [weight / sum(weights) for weight in weights]


@given(ROW, st.floats(0, 0.99))
def test_top_p_with_ties_keeps_equals_together(row: list[float], mass: float) -> None:
    p = probabilities(row)
    levels = sorted(set(p), reverse=True)
    reach, allowed = 0.0, set[int]()
    for level in levels:
        members = [i for i, each in enumerate(p) if each == level]
        # The count of equals needed does not matter: with one, all are in.
        allowed.update(members)
        reach += level * len(members)
        if reach >= mass + 1e-6:
            break
        if reach >= mass - 1e-6:
            return  # rounding decides
    assert kept(apply_top_p, row, mass) == {i for i in allowed if p[i] > 0}


@given(ROW, st.integers(1, 15))
def test_top_k_with_ties_keeps_equals_together(row: list[float], k: int) -> None:
    threshold = sorted(row, reverse=True)[:k][-1]
    result = apply_top_k(torch.tensor([row]), torch.tensor([k]))[0].tolist()
    assert {i for i, x in enumerate(result) if x > -math.inf} == {
        i for i, x in enumerate(row) if x >= threshold and x > -math.inf
    }


@given(ROW, st.floats(1e-6, 1))
def test_min_p_is_a_ratio_to_the_best(row: list[float], ratio: float) -> None:
    p = probabilities(row)
    if any(abs(each - ratio * max(p)) < 1e-6 for each in p):
        return  # rounding decides
    assert kept(apply_min_p, row, ratio) == {i for i, each in enumerate(p) if each > ratio * max(p)}


@pytest.mark.parametrize("value", [1e-30, 1e-9])
def test_temperature_near_zero_is_greedy_and_never_nan(value: float) -> None:
    logits = torch.tensor([[1.0, 3.0, 2.9, -math.inf], [3e38, -3e38, 0.0, 1.0]])
    probs = apply_temperature(logits, torch.tensor([value, value])).softmax(-1)
    assert probs.tolist() == [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


def test_the_candidates_grow_until_the_mass_is_reached() -> None:
    # 5,000 equal tokens but for a slope: 0.9 of the mass needs thousands of candidates.
    logits = torch.linspace(0, 0.1, 5000)[None].repeat(2, 1)
    logits[1, 7] = 20.0
    result = apply_top_p(logits, torch.tensor([0.9, 0.9]))
    counts = (result > -math.inf).sum(-1).tolist()
    ordered = logits[0].softmax(-1).double().sort(descending=True).values.cumsum(-1)
    assert counts[0] == pytest.approx(int((ordered < 0.9).sum()) + 1, abs=1)
    assert counts[1] == 1
