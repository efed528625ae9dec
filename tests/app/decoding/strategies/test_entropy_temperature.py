"""Entropy temperature, against the samplers of the same name and against its formulas by hand."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.entropy_temperature import Dynamic, Edt, EntropyTemperature
from app.decoding.strategies.greedy import Greedy
from app.engine.engine import Engine
from tests.app.engine.tiny import Answer, ask, collect, fresh_logprobs, tiny_engine

PROMPT = (3, 1, 4, 1, 5)
EDT = EntropyTemperature(rule=Edt(theta=2.0))
DYNAMIC = EntropyTemperature(rule=Dynamic(dynatemp_range=0.6, dynatemp_exponent=2.0))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def write(engine: Engine, seed: int, strategy: object = None, **sampling: float) -> Answer:
    request = ask(PROMPT, strategy, SamplingParams(**sampling), max_tokens=16, seed=seed)  # pyright: ignore[reportArgumentType]
    return collect(engine.submit(request)).only


@pytest.mark.parametrize("seed", range(6))
def test_each_rule_draws_what_the_sampler_of_its_name_draws(engine: Engine, seed: int) -> None:
    assert (
        write(engine, seed, EDT, temperature=1.2).ids
        == write(engine, seed, temperature=1.2, edt_theta=2.0).ids
    )
    dynamic = write(engine, seed, temperature=1.2, dynatemp_range=0.6, dynatemp_exponent=2.0)
    assert write(engine, seed, DYNAMIC, temperature=1.2).ids == dynamic.ids


def test_the_trace_has_entropy_and_temperature_of_every_token(engine: Engine) -> None:
    answer = write(engine, 1, EDT, temperature=1.5)
    assert [event.position for event in answer.events] == list(range(16))
    for index, event in enumerate(answer.events):
        logprobs = fresh_logprobs([*PROMPT, *answer.ids[:index]]).double()
        entropy = float(-(logprobs.exp() * logprobs).sum())
        assert event.detail["entropy"] == pytest.approx(entropy, abs=1e-4)
        assert event.detail["temperature"] == pytest.approx(1.5 * 0.8 ** (2 / entropy), rel=1e-3)


def test_rules_that_change_nothing_sample_and_temperature_0_is_greedy(engine: Engine) -> None:
    for rule in (Edt(theta=0), Edt(base=1), Dynamic(dynatemp_range=0)):
        still = EntropyTemperature(rule=rule)
        assert write(engine, 2, still, temperature=0.7).ids == write(engine, 2, temperature=0.7).ids
    greedy = write(engine, 0, Greedy()).ids
    for strategy in (EDT, DYNAMIC):
        assert write(engine, 3, strategy, temperature=0.0).ids == greedy


@given(st.floats(0, 10), st.floats(0, 100), st.floats(0.01, 100), st.floats(0.1, 50))
def test_temperature_rises_with_entropy_and_keeps_its_range(
    entropy: float, theta: float, middle: float, spread: float
) -> None:
    edt, dynamic = Edt(theta=theta), Dynamic(dynatemp_range=spread)
    cold, hot = (edt.temperature(middle, value, 260) for value in (entropy, entropy + 0.1))
    assert 0 <= cold <= hot <= middle
    low, high = (dynamic.temperature(middle, value, 260) for value in (entropy, entropy + 0.1))
    assert max(0, middle - spread) <= low <= high <= min(100, middle + spread)
    assert dynamic.temperature(middle, math.log(260), 260) == pytest.approx(min(100, middle + spread))
