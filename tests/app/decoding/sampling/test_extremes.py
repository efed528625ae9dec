"""Chains at the ends of their ranges, on logits at the ends of theirs: something is left to draw, and it is
what the formulas keep."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History, SamplerState
from app.decoding.sampling.params import DEFAULTS, SamplingParams
from app.decoding.sampling.samplers import SAMPLERS
from tests.app.decoding.sampling import reference
from tests.app.decoding.sampling.extremes import LARGEST, PLAIN, WILD, chains, histories, rows

CPU = torch.device("cpu")
NUDGE = 1e-5


def assert_drawable(after: Tensor, before: Tensor) -> None:
    """Something finite is left, nothing is NaN or infinity, and nothing impossible has come back."""
    assert not bool((after.isnan() | after.isposinf()).any()), (before, after)
    assert bool(after.isfinite().any(dim=-1).all()), (before, after)
    assert not bool((after.isfinite() & ~before.isfinite()).any()), (before, after)


XTC: dict[str, Any] = {"xtc_probability": 1.0, "xtc_threshold": 0.0}
PLAIN_ROW = [1.0, 0.5, 0.0, -2.0, -2.5, -3.0]
NOTHING = History([0], [0])


@settings(max_examples=250, deadline=None)
@given(params=chains(), row=rows(WILD), data=st.data(), coin=st.sampled_from([0.0, 0.5, 1 - 2**-53]))
@example(SamplingParams(**XTC, top_k=2), PLAIN_ROW, None, 0.0)
@example(SamplingParams(**XTC, top_p=0.5), PLAIN_ROW, None, 0.0)
@example(SamplingParams(**XTC, min_p=0.1), PLAIN_ROW, None, 0.0)
@example(SamplingParams(xtc_probability=1.0, xtc_threshold=1e-46, min_p=0.1), PLAIN_ROW, None, 0.0)
@example(SamplingParams(temperature=1e-46), PLAIN_ROW, None, 0.0)
@example(SamplingParams(edt_theta=1e-46), [3.0, -math.inf], None, 0.0)
@example(SamplingParams(repetition_penalty=0.01), [LARGEST, 1.0], None, 0.0)
@example(SamplingParams(repetition_penalty=100), [-LARGEST], None, 0.0)
def test_every_chain_leaves_something_to_draw(
    params: SamplingParams, row: list[float], data: Any, coin: float
) -> None:
    logits = torch.tensor([row])
    bias = {token_id: value for token_id, value in params.logit_bias.items() if token_id < len(row)}
    params = replace(params, logit_bias=bias)
    history = NOTHING if data is None else data.draw(histories(len(row)))
    state: SamplerState = {} if data is None else data.draw(states(params))
    chain = SamplingChain([params], CPU)
    adjusted = chain.adjust(logits, [history] * len(chain.penalised))
    assert_drawable(adjusted, logits)
    if not params.no_repeat_ngram_size:  # which alone may rule tokens out
        assert torch.equal(adjusted.isfinite(), logits.isfinite())
    if params.temperature > 0:
        cut = chain.cut(adjusted, [coin] * len(chain.tossing))
        assert_drawable(cut, adjusted)
        assert_drawable(chain.follow(cut, [state] * len(chain.remembering)), cut)
    chosen = chain.choose(
        logits,
        [coin] * len(chain.sampled),
        [history] * len(chain.penalised),
        [coin] * len(chain.tossing),
        [state] * len(chain.remembering),
    )
    token_id = int(chosen.ids[0])
    assert token_id < len(row)
    assert row[token_id] > -math.inf
    for after in chosen.states.values():
        assert all(math.isfinite(value) for value in after.values())


def states(params: SamplingParams) -> st.SearchStrategy[SamplerState]:
    """What mirostat and adaptive-p may have come to in a very long text."""
    if params.mirostat:
        return st.fixed_dictionaries({}, optional={"mirostat": st.floats(-1e12, 1e12)})
    if params.is_on("adaptive_p"):
        return st.fixed_dictionaries({}, optional={"adaptive_p": st.floats(0, 1)})
    return st.just({})


SHAPED = {name: info for name, info in SAMPLERS.items() if info.kind == "shape"}


def alone(name: str, params: SamplingParams) -> SamplingParams:
    """The same with one of its samplers only."""
    info = SAMPLERS[name]
    return SamplingParams(**{each: vars(params)[each] for each in (*info.switches, *info.settings)})


@settings(max_examples=200, deadline=None)
@given(params=chains(), row=rows(PLAIN))
def test_every_stage_of_a_chain_does_what_its_formula_says(params: SamplingParams, row: list[float]) -> None:
    if params.temperature == 0:
        return
    logits = torch.tensor([row])
    for name in (name for name in params.active if name in SHAPED):
        stage = SamplingChain([alone(name, params)], CPU)
        after = stage.cut(logits, [0.0] * len(stage.tossing))
        _compare(name, params, logits, after)
        logits = after


def _compare(name: str, params: SamplingParams, before: Tensor, after: Tensor) -> None:
    row = before[0].double().numpy()
    used = {each: float(np.float32(vars(params)[each])) for each in DEFAULTS if each in _NUMBERS}
    if name == "temperature":
        t = used["temperature"]
        if used["dynatemp_range"]:
            expected = reference.dynamic_temperature(
                row, t, used["dynatemp_range"], used["dynatemp_exponent"]
            )
        elif used["edt_theta"]:
            expected = reference.edt(row, t, used["edt_base"], used["edt_theta"])
        else:
            expected = reference.temperature(row, t)
    elif name == "quadratic":
        expected = reference.smoothing(row, used["smoothing_factor"], used["smoothing_curve"])
    elif name in ("typical_p", "tfs", "top_h"):
        return  # decided by differences of rounded numbers: test_parity has them on chosen rows
    elif name not in ("xtc", *reference.CUTS):
        return  # its own test compares it
    else:
        value = {"xtc": used["xtc_threshold"], "p_less": 0.0}.get(name) or used.get(name, 0.0)
        if 0 < value < 1e-30 or (name == "xtc" and used["xtc_probability"] == 0):
            return  # of probabilities so small, single precision knows too few digits
        kept = (after[0] > -math.inf).numpy()
        # min-p's threshold is a logit, so as fine as the highest one is.
        nudge = NUDGE + (1e-6 * abs(float(row.max())) if name == "min_p" else 0.0)
        possible = row > -math.inf
        one, other = (reference.CUTS[name](row, value, sign * nudge) & possible for sign in (-1, 1))
        assert np.all(kept >= (one & other)), (name, value, row)
        assert np.all(kept <= (one | other)), (name, value, row)
        assert torch.equal(after[0][after[0] > -math.inf], before[0][after[0] > -math.inf])
        return
    np.testing.assert_allclose(after[0].double().softmax(-1).numpy(), expected, atol=1e-5, rtol=0)


_NUMBERS = {name for name, value in DEFAULTS.items() if type(value) in (int, float)}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tau", [0.0, 100.0])
def test_mirostat_stays_a_number_over_a_long_text(version: int, tau: float) -> None:
    params = SamplingParams(mirostat=version, mirostat_tau=tau, mirostat_eta=1.0)
    chain = SamplingChain([params], CPU)
    generator = torch.Generator().manual_seed(1)
    state: SamplerState = {}
    for step in range(1000):
        logits = torch.zeros(1, 40) if step % 3 == 0 else torch.randn(1, 40, generator=generator) * 50
        chosen = chain.choose(logits, [(step * 0.618) % 1], states=[state])
        assert int(chosen.ids[0]) < 40
        state = chosen.states[0]
        assert math.isfinite(state["mirostat"])
