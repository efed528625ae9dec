"""A hundred thousand tokens of every sampler against the distribution that its formula gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from app.decoding.core.randomness import uniform
from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.params import SamplingParams
from tests.app.decoding.sampling import reference

N, ROWS = 100_000, 5_000
LOGITS = np.array([0.3, -1.0, 2.0, -np.inf, 1.1, 0.0, -4.0, 1.1, 1.6, -0.4])
UNIFORMS = [uniform(23, (0,), position, 0) for position in range(N)]
COINS = [uniform(23, (0,), position, 0, "xtc") for position in range(N)]


def cut(name: str, value: float) -> Callable[[reference.Row], reference.Row]:
    return lambda logits: reference.kept_to_probs(logits, reference.CUTS[name](logits, value, 0.0))


def half_the_time(logits: reference.Row) -> reference.Row:
    mixed = 0.5 * cut("xtc", 0.12)(logits) + 0.5 * reference.softmax(logits)
    return np.asarray(mixed, dtype=np.float64)


CASES: list[tuple[dict[str, Any], Callable[[reference.Row], reference.Row]]] = [
    ({}, reference.softmax),
    ({"temperature": 1.7}, lambda row: reference.temperature(row, 1.7)),
    (
        {"dynatemp_range": 0.5, "dynatemp_exponent": 2.0},
        lambda row: reference.dynamic_temperature(row, 1.0, 0.5, 2.0),
    ),
    ({"edt_theta": 0.5}, lambda row: reference.edt(row, 1.0, 0.8, 0.5)),
    ({"smoothing_factor": 0.2}, lambda row: reference.smoothing(row, 0.2, 1.0)),
    ({"top_n_sigma": 1.0}, cut("top_n_sigma", 1.0)),
    ({"top_k": 4}, cut("top_k", 4)),
    ({"typical_p": 0.7}, cut("typical_p", 0.7)),
    ({"top_p": 0.8}, cut("top_p", 0.8)),
    ({"min_p": 0.2}, cut("min_p", 0.2)),
    ({"epsilon_cutoff": 0.05}, cut("epsilon_cutoff", 0.05)),
    ({"eta_cutoff": 0.3}, cut("eta_cutoff", 0.3)),
    ({"top_h": 0.6}, cut("top_h", 0.6)),
    ({"p_less": True}, cut("p_less", 0.0)),
    ({"top_a": 0.4}, cut("top_a", 0.4)),
    ({"tfs": 0.8}, cut("tfs", 0.8)),
    ({"xtc_probability": 0.5, "xtc_threshold": 0.12}, half_the_time),
    ({"mirostat": 1, "mirostat_tau": 1.5}, cut("mirostat_v1", 3.0)),
    ({"mirostat": 2, "mirostat_tau": 1.5}, cut("mirostat_v2", 3.0)),
    ({"adaptive_target": 0.15}, lambda row: reference.adaptive_p(row, 0.15)),
]


@pytest.mark.parametrize(("fields", "formula"), CASES, ids=[str(fields) for fields, _ in CASES])
def test_drawn_tokens_pass_a_chi_square(
    fields: dict[str, Any], formula: Callable[[reference.Row], reference.Row]
) -> None:
    chain = SamplingChain([SamplingParams(**fields)] * ROWS, torch.device("cpu"))
    logits = torch.tensor(LOGITS, dtype=torch.float32).expand(ROWS, -1)
    observed = np.zeros(len(LOGITS), dtype=np.int64)
    for start in range(0, N, ROWS):
        chosen = chain.choose(
            logits,
            UNIFORMS[start : start + ROWS],
            coins=COINS[start : start + ROWS] if chain.tossing else (),
            states=[{}] * len(chain.remembering),
        )
        observed += np.bincount(chosen.ids.numpy(), minlength=len(LOGITS))
    expected = formula(LOGITS) * N
    possible = expected > 0
    assert not observed[~possible].any()
    if possible.sum() > 1:
        assert stats.chisquare(observed[possible], expected[possible]).pvalue > 1e-3
