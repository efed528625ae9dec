import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.corpora.registry import corpus_named
from models.errors import SpecError
from models.training.config import PretrainConfig


@st.composite
def configs(draw: st.DrawFn) -> PretrainConfig:
    """Small runs of any length and schedule: 100 tokens a step."""
    tokens = draw(st.integers(1, 20_000))
    return PretrainConfig(
        corpus=corpus_named("igsm", {"op_max": 6}),
        rows=2,
        row_length=50,
        tokens=tokens,
        decay_tokens=draw(st.integers(0, tokens)),
        warmup_steps=draw(st.integers(1, 50)),
        op_weights=draw(st.one_of(st.just(()), st.tuples(*[st.floats(0.01, 9)] * 6))),
        op_start=draw(st.integers(1, 6)),
        op_ramp_tokens=draw(st.integers(0, 10_000)),
        validate_tokens=draw(st.integers(1, 20_000)),
    )


@given(configs())
def test_rate_warms_up_stays_and_falls_to_almost_zero(config: PretrainConfig) -> None:
    factors = [config.rate_factor(step) for step in range(config.steps)]
    decay_start = config.steps - config.decay_steps
    for step, factor in enumerate(factors):
        warm = min(1.0, (step + 1) / config.warmup_steps)
        left = 1.0 if step < decay_start else (config.steps - step) / (config.decay_steps + 1)
        assert factor == pytest.approx(min(warm, left))
        assert 0 < factor <= 1
    assert config.rate_factor(config.steps) == 0


@given(configs(), st.integers(1, 60))
def test_longer_run_has_the_same_rates_until_either_decays(config: PretrainConfig, more: int) -> None:
    longer = replace(config, tokens=config.tokens + 100 * more)
    for step in range(min(run.steps - run.decay_steps for run in (config, longer))):
        assert config.rate_factor(step) == longer.rate_factor(step)


@given(configs())
def test_ops_grow_from_the_first_to_the_last(config: PretrainConfig) -> None:
    ramp_steps = config.op_ramp_tokens // 100
    ops = [config.op_max_at(step) for step in range(ramp_steps + 2)]
    assert ops == sorted(ops)
    assert ops[-1] == 6
    if ramp_steps:
        assert ops[0] == config.op_start
        counts = [ops[:ramp_steps].count(op) for op in range(config.op_start, 6)]
        assert max(counts, default=0) - min(counts, default=0) <= 1


@given(configs(), st.integers(1, 30))
def test_validation_comes_about_as_often_as_asked_and_at_the_end(config: PretrainConfig, chunk: int) -> None:
    chunks = [range(start, min(start + chunk, config.steps)) for start in range(0, config.steps, chunk)]
    due = [steps.stop for steps in chunks if config.validation_due(steps)]
    every = max(1, config.validate_tokens // 100)
    multiples = {
        min(-(-multiple // chunk) * chunk, config.steps) for multiple in range(every, config.steps, every)
    }
    assert due == sorted({*multiples, config.steps})


@given(configs())
def test_card_is_json_and_gives_the_config_back(config: PretrainConfig) -> None:
    assert PretrainConfig.from_card(json.loads(json.dumps(config.to_card()))) == config


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"tokens": 0}, "tokens is 0; it must be at least 1"),
        ({"rows": 0}, "rows is 0"),
        ({"row_length": -1}, "row_length is -1"),
        ({"warmup_steps": 0}, "warmup_steps is 0"),
        ({"validate_tokens": 0}, "validate_tokens is 0"),
        ({"validate_problems": 0}, "validate_problems is 0"),
        ({"op_ramp_tokens": -1}, "op_ramp_tokens is -1; it must be at least 0"),
        ({"muon_rate": 0.0}, "muon_rate is 0.0; it must be between 0 and 1, both excluded"),
        ({"adamw_rate": 1.0}, "adamw_rate is 1.0"),
        ({"adamw_rate": float("nan")}, "adamw_rate is nan"),
        ({"prompt_weight": 1.1}, "prompt_weight is 1.1; it must be between 0 and 1"),
        ({"prompt_weight": float("nan")}, "prompt_weight is nan"),
        ({"muon_momentum": -0.1}, "muon_momentum is -0.1"),
        ({"tokens": 10, "decay_tokens": 11}, "decay_tokens is 11; it must be between 0 and tokens = 10"),
        ({"op_start": 0}, "op_start is 0; it must be in the corpus's range 1 to 5"),
        ({"op_start": 6}, "op_start is 6"),
        (
            {"op_weights": (1.0, 2.0)},
            "op_weights is .*; give 5 positive numbers, one for each op from 1",
        ),
        ({"op_weights": (1.0, 1.0, 0.0, 1.0, 1.0)}, "op_weights is"),
        ({"op_weights": (1.0, 1.0, float("inf"), 1.0, 1.0)}, "op_weights is"),
        ({"row_length": 300}, "row_length 300 exceeds context_length 256"),
    ],
)
def test_value_outside_its_range_is_refused(values: dict[str, float], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        PretrainConfig.from_card({**PretrainConfig().to_card(), **values})
