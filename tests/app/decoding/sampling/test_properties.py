"""What holds for every sampler, whatever the logits."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from app.decoding.core.types import SamplerState
from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.feedback_rows import Feedback
from app.decoding.sampling.params import DEFAULTS, SAMPLERS, SamplingParams

CPU = torch.device("cpu")

# Odd values, so that no threshold falls on a sum of the round logits below.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "temperature": [
        {"temperature": 0.37},
        {"dynatemp_range": 0.71, "temperature": 0.83},
        {"edt_theta": 0.41},
    ],
    "quadratic": [{"smoothing_factor": 0.23}, {"smoothing_factor": 0.31, "smoothing_curve": 2.3}],
    "top_n_sigma": [{"top_n_sigma": 0.773}],
    "top_k": [{"top_k": 1}, {"top_k": 3}],
    "typical_p": [{"typical_p": 0.3137}, {"typical_p": 0.9271}],
    "top_p": [{"top_p": 0.3137}, {"top_p": 0.9271}],
    "min_p": [{"min_p": 0.2111}],
    "epsilon_cutoff": [{"epsilon_cutoff": 0.0719}],
    "eta_cutoff": [{"eta_cutoff": 0.3119}],
    "top_h": [{"top_h": 0.4177}],
    "p_less": [{"p_less": True}],
    "top_a": [{"top_a": 0.6173}],
    "tfs": [{"tfs": 0.9137}],
    "xtc": [{"xtc_probability": 1.0, "xtc_threshold": 0.0873}],
    "mirostat": [{"mirostat": 1, "mirostat_tau": 1.137}, {"mirostat": 2, "mirostat_tau": 1.137}],
    "adaptive_p": [{"adaptive_target": 0.2371}],
}
PARAMS = [SamplingParams(**each) for group in SETTINGS.values() for each in group]
NAMES = [" ".join(each) for group in SETTINGS.values() for each in group]

LOGITS = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0, -math.inf, 3e38, -3e38]), st.integers(-24, 24).map(lambda n: n / 4)),
    min_size=1,
    max_size=90,
).filter(lambda row: max(row) > -math.inf)


def shaped(params: list[SamplingParams], logits: Tensor) -> Tensor:
    """Logits that tokens are drawn from."""
    chain = SamplingChain(params, CPU)
    cut = chain.cut(logits, [0.5] * len(chain.tossing))
    feedback = Feedback(params, {row: row for row in range(len(params))}, CPU)
    return feedback.apply(cut, {row: SamplerState() for row in chain.remembering})


def test_every_sampler_without_a_history_is_here() -> None:
    assert set(SETTINGS) == {name for name, info in SAMPLERS.items() if info.kind != "history"}


@pytest.mark.parametrize("params", PARAMS, ids=NAMES)
@settings(max_examples=40, deadline=None)
@given(row=LOGITS, data=st.data())
def test_the_order_of_tokens_decides_nothing(params: SamplingParams, row: list[float], data: Any) -> None:
    logits = torch.tensor([row])
    before = logits.clone()
    order = torch.tensor(data.draw(st.permutations(range(len(row)))))
    probs = shaped([params], logits).softmax(-1)
    assert torch.equal(logits, before)
    assert bool((probs[0] > 0).any())
    assert float(probs.sum()) == pytest.approx(1, abs=1e-5)
    assert not bool((probs[0] > 0)[logits[0] == -math.inf].any())
    moved = shaped([params], logits[:, order]).softmax(-1)
    torch.testing.assert_close(moved, probs[:, order], atol=1e-5, rtol=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PARAMS), st.integers(0, 50)), min_size=2, max_size=8))
def test_a_row_is_shaped_as_it_is_alone(rows: list[tuple[SamplingParams, int]]) -> None:
    seeds = [torch.Generator().manual_seed(seed) for _, seed in rows]
    logits = torch.cat([torch.randn(1, 90, generator=seed) * 3 for seed in seeds])
    together = shaped([params for params, _ in rows], logits)
    for row, (params, _) in enumerate(rows):
        alone = shaped([params], logits[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-5)


def test_neutral_values_compile_to_nothing() -> None:
    names = [name for info in SAMPLERS.values() for name in info.switches]
    neutral = SamplingParams(**{name: DEFAULTS[name] for name in names}, samplers=tuple(SAMPLERS))
    logits = torch.randn(3, 40)
    chain = SamplingChain([neutral] * 3, CPU)
    assert neutral.active == ()
    assert chain.cut(chain.adjust(logits, [])) is logits
    assert [*chain.penalised, *chain.tossing, *chain.remembering] == []
