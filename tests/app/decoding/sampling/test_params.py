"""Sampling parameters: ranges, order, and what is refused."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from app.decoding.sampling.fields import SamplingFields
from app.decoding.sampling.params import DEFAULTS, SamplingParams
from app.decoding.sampling.samplers import SAMPLERS, SETTINGS
from app.errors import ParameterError
from tests.app.decoding.sampling.examples import EXAMPLES

RANGES = {name: each.allowed for name, each in SETTINGS.items() if each.allowed is not None}


def with_value(name: str, value: Any) -> SamplingParams:
    return replace(SamplingParams(), **{name: value})


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_a_range_are_allowed_and_what_is_beyond_is_refused(name: str, end: str) -> None:
    allowed = RANGES[name]
    value = allowed.low if end == "low" else allowed.high
    assert getattr(with_value(name, value), name) == value
    beyond = allowed.low - 0.01 if end == "low" else allowed.high + 1
    for wrong in (beyond, math.nan):
        with pytest.raises(ParameterError, match=rf"{name} is .*between") as caught:
            with_value(name, wrong)
        assert caught.value.param == name
        assert str(wrong) in str(caught.value)


def test_every_number_has_a_range_and_every_sampler_is_off_by_default() -> None:
    numbers = {each.name for each in fields(SamplingParams) if type(each.default) in (int, float)}
    assert numbers == set(RANGES)
    assert SamplingParams().active == ()
    used = [name for info in SAMPLERS.values() for name in (*info.switches, *info.settings)]
    assert sorted(used) == sorted(set(DEFAULTS) - {"logit_bias", "samplers"})


@pytest.mark.parametrize("bias", [{-1: 1.0}, {3: 100.5}, {3: math.nan}])
def test_a_bad_logit_bias_is_refused(bias: dict[int, float]) -> None:
    with pytest.raises(ParameterError, match="logit_bias has") as caught:
        SamplingParams(logit_bias=bias)
    assert caught.value.param == "logit_bias"


def test_params_do_not_follow_later_changes_of_the_callers_dictionary() -> None:
    bias = {1: 2.0}
    params = SamplingParams(logit_bias=bias)
    bias[1] = 5.0
    assert params.logit_bias == {1: 2.0}


ON = {name: examples[0] for name, examples in EXAMPLES.items()}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_that_is_on_has_to_be_listed(name: str) -> None:
    params = SamplingParams(**ON[name])
    assert params.active == (name,)
    assert replace(params, samplers=(name,)).active == (name,)
    assert params.effective()["samplers"] == [name]
    assert ON[name].items() <= params.effective().items()
    with pytest.raises(ParameterError, match=f"does not list '{name}'") as caught:
        replace(params, samplers=())
    assert caught.value.param == "samplers"


def test_temperature_0_leaves_what_looks_at_the_history() -> None:
    every = SamplingParams(**{key: value for name in list(ON)[:-1] for key, value in ON[name].items()})
    assert every.active == tuple(list(SAMPLERS)[:-1])
    assert replace(every, temperature=0.0).active == ("penalties", "no_repeat_ngram", "dry")
    assert replace(SamplingParams(), temperature=0.0, samplers=()).active == ()


@pytest.mark.parametrize(
    ("samplers", "says"),
    [
        (("top_q",), "samplers has 'top_q'; there are penalties, "),
        (("top_k", "top_p", "top_k"), "'top_k' more than once"),
        (("temperature", "penalties"), "'penalties' after 'temperature'"),
        (("mirostat", "xtc"), "'xtc' after 'mirostat'"),
    ],
)
def test_a_list_that_cannot_be_is_refused(samplers: tuple[str, ...], says: str) -> None:
    with pytest.raises(ParameterError, match=says) as caught:
        SamplingParams(samplers=samplers)
    assert caught.value.param == "samplers"


def test_a_given_order_is_kept() -> None:
    params = SamplingParams(top_k=3, temperature=0.5, samplers=("dry", "top_k", "min_p", "temperature"))
    assert params.active == ("top_k", "temperature")


def test_the_service_has_a_field_for_every_parameter() -> None:
    assert set(SamplingFields.model_fields) == set(DEFAULTS)
    assert SamplingFields().sampling == SamplingParams()
    off = {"top_k": -1, "top_n_sigma": -1, "adaptive_target": -0.5}
    assert SamplingFields.model_validate(off).sampling == SamplingParams()
    asked = {key: value for each in ON.values() for key, value in each.items() if key != "adaptive_target"}
    assert SamplingFields(**asked).sampling == SamplingParams(**asked)


@pytest.mark.parametrize(
    ("name", "value", "means"),
    [
        ("temperature", 1e-46, 0.0),
        ("temperature", 1 + 1e-9, 1.0),
        ("top_p", 1 - 1e-9, 1.0),
        ("min_p", 1e-46, 0.0),
        ("xtc_threshold", 1e-46, 0.0),
        ("xtc_probability", 1 - 1e-9, 1.0),
        ("smoothing_factor", 1e-46, 0.0),
        ("edt_theta", 1e-46, 0.0),
        ("repetition_penalty", 1 + 1e-9, 1.0),
        ("temperature", 1e-40, 1e-40),
        ("temperature", 0.7, 0.7),
        ("dry_multiplier", 1e-46, 1e-46),
    ],
)
def test_a_value_is_what_the_precision_that_uses_it_makes_of_it(
    name: str, value: float, means: float
) -> None:
    params = with_value(name, value)
    assert getattr(params, name) == means
    assert params.active == with_value(name, means).active


def test_another_temperature_is_applied_where_the_list_has_none() -> None:
    params = SamplingParams(top_k=3, dry_multiplier=1.0, samplers=("dry", "top_k"))
    warm = params.at_temperature(0.5)
    assert (warm.temperature, warm.active) == (0.5, ("dry", "temperature", "top_k"))
    assert params.at_temperature(1.0).active == params.active
    assert params.at_temperature(0.0).active == ("dry",)
    listed = replace(params, samplers=("dry", "top_k", "temperature"))
    assert listed.at_temperature(0.5).active == ("dry", "top_k", "temperature")


def test_what_the_temperature_turns_on_is_applied_where_it_was_not_listed() -> None:
    greedy = SamplingParams(temperature=0.0, top_k=3, mirostat=2, samplers=())
    assert greedy.at_temperature(0.5).active == ("temperature", "top_k", "mirostat")
