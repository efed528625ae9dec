"""Mirostat and adaptive-p over whole texts, against the same loop without any batch."""

import math

import numpy as np
import pytest
import torch

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import SamplerState
from app.decoding.sampling.params import SamplingParams
from tests.app.decoding.sampling import reference

CPU = torch.device("cpu")
STEPS, VOCAB = 300, 60


def logits_of(step: int) -> torch.Tensor:
    return torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(step)) * 2.5


def points(steps: int) -> list[float]:
    return np.random.default_rng(3).random(steps).tolist()


def written(params: SamplingParams) -> tuple[list[int], list[SamplerState]]:
    """A text drawn token by token, and what was remembered after each."""
    chain = SamplingChain([params], CPU)
    ids: list[int] = []
    states: list[SamplerState] = []
    for step, point in enumerate(points(STEPS)):
        known = [states[-1] if states else {}]
        chosen = chain.choose(logits_of(step), [point], states=known)
        ids.append(int(chosen.ids))
        states.append(chosen.states[0])
    return ids, states


def inverse_cdf(probs: reference.Row, point: float) -> int:
    return int((np.cumsum(probs) / probs.sum() <= point).sum())


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_writes_what_a_plain_loop_writes(version: int) -> None:
    tau, eta = 3.0, 0.1
    cut = reference.mirostat_v1 if version == 1 else reference.mirostat_v2
    mu, ids, mus = 2 * tau, list[int](), list[float]()
    for step, point in enumerate(points(STEPS)):
        logits = logits_of(step)[0].double().numpy()
        probs = reference.kept_to_probs(logits, cut(logits, mu, 0.0))
        chosen = inverse_cdf(probs, point)
        mu -= eta * (-math.log2(probs[chosen]) - tau)
        ids.append(chosen)
        mus.append(mu)
    ours, states = written(SamplingParams(mirostat=version, mirostat_tau=tau, mirostat_eta=eta))
    assert ours == ids
    np.testing.assert_allclose([state["mirostat"] for state in states], mus, atol=1e-4)


def test_mirostat_brings_the_surprise_to_tau() -> None:
    tau, eta = 2.0, 0.1
    _, states = written(SamplingParams(mirostat=2, mirostat_tau=tau, mirostat_eta=eta))
    mus = [2 * tau, *(state["mirostat"] for state in states)]
    # Summed up, the updates say what the surprises were.
    surprise = tau - (mus[-1] - mus[0]) / eta / STEPS
    assert surprise == pytest.approx(tau, abs=0.2)


def test_adaptive_p_writes_what_a_plain_loop_writes() -> None:
    """With llama.cpp's weighted sum and sum of weights, which come to the average that is kept here."""
    target, decay = 0.3, 0.8
    total, weights = target / (1 - decay), 1 / (1 - decay)
    ids: list[int] = []
    averages: list[float] = []
    for step, point in enumerate(points(STEPS)):
        logits = logits_of(step)[0].double().numpy()
        aim = min(1.0, max(0.0, 2 * target - total / weights))
        chosen = inverse_cdf(reference.adaptive_p(logits, aim), point)
        total = float(reference.softmax(logits)[chosen]) + decay * total
        weights = 1 + decay * weights
        ids.append(chosen)
        averages.append(total / weights)
    ours, states = written(SamplingParams(adaptive_target=target, adaptive_decay=decay))
    assert ours == ids
    np.testing.assert_allclose([state["adaptive_p"] for state in states], averages, atol=1e-5)


def test_rows_of_a_batch_remember_their_own() -> None:
    params = [
        SamplingParams(mirostat=2, mirostat_tau=2.0),
        SamplingParams(temperature=0.0),
        SamplingParams(adaptive_target=0.4),
        SamplingParams(top_p=0.9),
        SamplingParams(mirostat=1, mirostat_tau=4.0),
    ]
    logits = torch.cat([logits_of(step) for step in range(5)])
    known: dict[int, SamplerState] = {0: {"mirostat": 1.5}, 2: {"adaptive_p": 0.7}, 4: {}}
    chain = SamplingChain(params, CPU)
    assert (chain.sampled, chain.remembering) == ([0, 2, 3, 4], [0, 2, 4])
    point = dict(enumerate(points(5)))
    together = chain.choose(logits, [point[row] for row in chain.sampled], states=list(known.values()))
    assert set(together.states) == set(known)
    for row, each in enumerate(params):
        alone = SamplingChain([each], CPU).choose(
            logits[row : row + 1],
            [point[row]] if each.temperature else [],
            states=[known[row]] if row in known else [],
        )
        assert together.ids[row] == alone.ids[0]
        if row in known:
            assert together.states[row] == alone.states[0]


def test_one_sampler_leaves_alone_what_the_other_remembers() -> None:
    """A strategy may go from one to the other and back."""
    mirostat, adaptive = SamplingParams(mirostat=2), SamplingParams(adaptive_target=0.4)
    first = SamplingChain([mirostat], CPU).choose(logits_of(0), [0.3], states=[{}]).states[0]
    second = SamplingChain([adaptive], CPU).choose(logits_of(1), [0.3], states=[first]).states[0]
    assert set(second) == {"mirostat", "adaptive_p"}
    assert {"mirostat": second["mirostat"]} == first
