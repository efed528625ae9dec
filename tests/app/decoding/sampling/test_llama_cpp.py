"""Samplers against llama.cpp's own, in C, through llama-cpp-python's low-level API; no model is needed.

An optional group: `pip install '.[llama-cpp]'`, which compiles it. Rows hold no equal logits, of which
llama.cpp keeps as many as fit and this all or none.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.feedback import adaptive_average, mirostat_mu
from app.decoding.sampling.history import History, SamplerState
from app.decoding.sampling.params import SamplingParams

llama: Any = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed; pip install '.[llama-cpp]' compiles it"
)

CPU = torch.device("cpu")
VOCAB = 200


def rows() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    spreads = [0.2, 1.0, 2.0, 4.0] * 5
    return [torch.randn(1, VOCAB, generator=generator) * spread for spread in spreads]


class Candidates:
    """A row as llama.cpp's samplers take it."""

    def __init__(self, logits: Tensor) -> None:
        values = [(i, logit, 0.0) for i, logit in enumerate(logits[0].tolist())]
        self._data = (llama.llama_token_data * len(values))(*values)
        self._array = llama.llama_token_data_array(
            data=self._data, size=len(values), selected=-1, sorted=False
        )
        self._size = len(values)

    def apply(self, sampler: Any) -> None:
        llama.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def probs(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The distribution that is left, by token id."""
        logits = np.full(self._size, -math.inf)
        for place in range(self._array.size):
            logits[self._array.data[place].id] = self._array.data[place].logit
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    @property
    def selected(self) -> int:
        """The token that the sampler drew."""
        return int(self._array.data[self._array.selected].id)


def ours(params: SamplingParams, logits: Tensor, state: SamplerState | None = None) -> Tensor:
    """The distribution (V,) that a token is drawn from."""
    chain = SamplingChain([params], CPU)
    cut = chain.cut(logits, [0.0] * len(chain.tossing))
    return chain.follow(cut, [state or {}] * len(chain.remembering))[0].double().softmax(-1)


SHAPES: list[tuple[dict[str, Any], Callable[[], Any]]] = [
    ({"temperature": 0.6}, lambda: llama.llama_sampler_init_temp(0.6)),
    ({"temperature": 1.7}, lambda: llama.llama_sampler_init_temp(1.7)),
    (
        {"temperature": 0.9, "dynatemp_range": 0.6, "dynatemp_exponent": 1.4},
        lambda: llama.llama_sampler_init_temp_ext(0.9, 0.6, 1.4),
    ),
    ({"top_k": 7}, lambda: llama.llama_sampler_init_top_k(7)),
    ({"top_p": 0.73}, lambda: llama.llama_sampler_init_top_p(0.73, 1)),
    ({"min_p": 0.07}, lambda: llama.llama_sampler_init_min_p(0.07, 1)),
    ({"typical_p": 0.61}, lambda: llama.llama_sampler_init_typical(0.61, 1)),
    ({"top_n_sigma": 1.3}, lambda: llama.llama_sampler_init_top_n_sigma(1.3)),
    (
        {"xtc_probability": 1.0, "xtc_threshold": 0.06},
        lambda: llama.llama_sampler_init_xtc(1.0, 0.06, 1, 1),
    ),
    (
        {"mirostat": 1, "mirostat_tau": 1.9},
        lambda: llama.llama_sampler_init_mirostat(VOCAB, 1, 1.9, 0.1, 100),
    ),
    ({"mirostat": 2, "mirostat_tau": 1.9}, lambda: llama.llama_sampler_init_mirostat_v2(1, 1.9, 0.1)),
    (
        {"adaptive_target": 0.2, "adaptive_decay": 0.9},
        lambda: llama.llama_sampler_init_adaptive_p(0.2, 0.9, 1),
    ),
]


@pytest.mark.parametrize(("fields", "make"), SHAPES, ids=[str(fields) for fields, _ in SHAPES])
def test_distributions_are_llama_cpps(fields: dict[str, Any], make: Callable[[], Any]) -> None:
    for logits in rows():
        candidates = Candidates(logits)
        sampler = make()
        candidates.apply(sampler)
        llama.llama_sampler_free(sampler)
        np.testing.assert_allclose(
            ours(SamplingParams(**fields), logits).numpy(), candidates.probs, atol=1e-6, rtol=0
        )


def test_mirostat_learns_as_llama_cpp_does() -> None:
    tau, eta = 2.2, 0.3
    params = SamplingParams(mirostat=2, mirostat_tau=tau, mirostat_eta=eta)
    sampler = llama.llama_sampler_init_mirostat_v2(5, tau, eta)
    mu = 2 * tau
    for logits in rows():
        candidates = Candidates(logits)
        candidates.apply(sampler)
        probs = ours(params, logits, {"mirostat": mu})
        np.testing.assert_allclose(probs.numpy(), candidates.probs, atol=1e-6, rtol=0)
        mu = mirostat_mu(mu, math.log(probs[candidates.selected]), tau, eta)
    llama.llama_sampler_free(sampler)


def test_adaptive_p_learns_as_llama_cpp_does() -> None:
    target, decay = 0.3, 0.7
    params = SamplingParams(adaptive_target=target, adaptive_decay=decay)
    sampler = llama.llama_sampler_init_adaptive_p(target, decay, 5)
    average = target
    for logits in rows():
        candidates = Candidates(logits)
        candidates.apply(sampler)
        probs = ours(params, logits, {"adaptive_p": average})
        np.testing.assert_allclose(probs.numpy(), candidates.probs, atol=1e-6, rtol=0)
        llama.llama_sampler_accept(sampler, candidates.selected)
        drawn = float(logits[0].double().log_softmax(-1)[candidates.selected])
        average = adaptive_average(average, drawn, decay)
    llama.llama_sampler_free(sampler)


def accepted(sampler: Any, ids: Sequence[int]) -> Any:
    """The sampler once it has seen the ids."""
    for token_id in ids:
        llama.llama_sampler_accept(sampler, token_id)
    return sampler


IDS = [1, 2, 3, 4, 9, 1, 2, 3, 5, 1, 2, 3, 4, 7, 7, 7, 2, 3, 4, 1, 2, 3]


@pytest.mark.parametrize("allowed", [1, 2, 4])
@pytest.mark.parametrize("last_n", [10, 1000])
def test_dry_is_llama_cpps(allowed: int, last_n: int) -> None:
    """Without breakers, for which it would need a vocabulary."""
    params = SamplingParams(
        dry_multiplier=0.7,
        dry_base=1.6,
        dry_allowed_length=allowed,
        dry_penalty_last_n=last_n,
        dry_sequence_breakers=(),
    )
    for logits in rows():
        sampler = accepted(llama.llama_sampler_init_dry(None, 0.7, 1.6, allowed, last_n, None, 0), IDS)
        candidates = Candidates(logits)
        candidates.apply(sampler)
        llama.llama_sampler_free(sampler)
        adjusted = SamplingChain([params], CPU).adjust(logits, [History([], IDS)])
        np.testing.assert_allclose(
            adjusted[0].double().softmax(-1).numpy(), candidates.probs, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize(
    ("repetition", "frequency", "presence"),
    [(1.3, 0.0, 0.0), (1.0, 0.4, 0.0), (1.0, 0.0, 0.9), (1.2, -0.3, 0.5)],
)
def test_penalties_are_llama_cpps(repetition: float, frequency: float, presence: float) -> None:
    """On a text without a prompt: its frequency and presence penalties count the prompt too."""
    params = SamplingParams(
        repetition_penalty=repetition, frequency_penalty=frequency, presence_penalty=presence
    )
    for logits in rows():
        sampler = llama.llama_sampler_init_penalties(VOCAB, 1000, repetition, frequency, presence)
        candidates = Candidates(logits)
        candidates.apply(accepted(sampler, IDS))
        llama.llama_sampler_free(sampler)
        adjusted = SamplingChain([params], CPU).adjust(logits, [History([], IDS)])
        np.testing.assert_allclose(
            adjusted[0].double().softmax(-1).numpy(), candidates.probs, atol=1e-6, rtol=0
        )
