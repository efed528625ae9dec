"""What holds for every sampler, whatever the logits."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.params import DEFAULTS, SamplingParams
from app.decoding.sampling.samplers import SAMPLERS
from tests.app.decoding.sampling.examples import EXAMPLES

CPU = torch.device("cpu")

SHAPES = {name: each for name, each in EXAMPLES.items() if SAMPLERS[name].kind != "history"}
PARAMS = [SamplingParams(**each) for group in SHAPES.values() for each in group]
NAMES = [" ".join(each) for group in SHAPES.values() for each in group]

LOGITS = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0, -math.inf, 3e38, -3e38]), st.integers(-24, 24).map(lambda n: n / 4)),
    min_size=1,
    max_size=90,
).filter(lambda row: max(row) > -math.inf)


def shaped(params: list[SamplingParams], logits: Tensor) -> Tensor:
    """Logits that tokens are drawn from."""
    chain = SamplingChain(params, CPU)
    cut = chain.cut(logits, [0.5] * len(chain.tossing))
    return chain.follow(cut, [{}] * len(chain.remembering))


def test_every_sampler_is_here() -> None:
    assert list(EXAMPLES) == list(SAMPLERS)


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
