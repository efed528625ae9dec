import math
from dataclasses import replace

import pytest

from app.decoding.types import SamplingParams, StoppingParams
from app.errors import ParameterError

BAD_SAMPLING: list[tuple[str, dict[str, float]]] = [
    ("temperature", {"temperature": -0.1}),
    ("temperature", {"temperature": math.nan}),
    ("temperature", {"temperature": math.inf}),
    ("top_k", {"top_k": -1}),
    ("top_p", {"top_p": 1.01}),
    ("min_p", {"min_p": -0.01}),
    ("typical_p", {"typical_p": math.nan}),
    ("presence_penalty", {"presence_penalty": 2.5}),
    ("frequency_penalty", {"frequency_penalty": -2.5}),
    ("repetition_penalty", {"repetition_penalty": 0.0}),
]


@pytest.mark.parametrize(("param", "values"), BAD_SAMPLING)
def test_an_out_of_range_parameter_is_refused_by_name_and_value(param: str, values: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=rf"{param} is .*between") as caught:
        replace(SamplingParams(), **values)
    assert caught.value.param == param
    assert str(values[param]) in str(caught.value)


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


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("max_tokens", {"max_tokens": -1}),
        ("stop", {"max_tokens": 1, "stop": ("a", "")}),
        ("stop_token_ids", {"max_tokens": 1, "stop_token_ids": (-5,)}),
    ],
)
def test_bad_stopping_is_refused(param: str, values: dict[str, object]) -> None:
    with pytest.raises(ParameterError) as caught:
        replace(StoppingParams(max_tokens=1), **values)
    assert caught.value.param == param
