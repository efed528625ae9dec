from dataclasses import replace

import pytest

from app.decoding.core.types import StoppingParams
from app.errors import ParameterError


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
