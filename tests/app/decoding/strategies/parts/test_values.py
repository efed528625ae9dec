"""What probes say of a text, against arithmetic by hand."""

import math

import pytest

from app.decoding.core.types import Token
from app.decoding.strategies.parts.values import LEAST, StepAggregate, aggregate, log_value, read_values

TOKENS = [
    Token(1, -1.0, {}),
    Token(2, -1.0, {"probe:a": 0.1, "probe:b": 0.5}),
    Token(3, 0.0, {}, forced=True),
    Token(4, -1.0, {"probe:a": 0.4}),
]


@pytest.mark.parametrize(("how", "value"), [("min", 0.6), ("mean", 0.75), ("last", 0.6), ("product", 0.54)])
def test_aggregates(how: StepAggregate, value: float) -> None:
    assert aggregate(read_values(TOKENS, "probe:a"), how) == pytest.approx(value)
    assert aggregate(read_values(TOKENS, "probe:c"), how) is None


def test_the_logarithm_is_that_of_the_product_over_probes_and_finite() -> None:
    expected = math.log(0.9 * 0.6 * 0.5)
    assert log_value(iter(TOKENS), iter(["probe:a", "probe:b"])) == pytest.approx(expected)
    assert log_value(TOKENS, ["probe:c"]) == 0
    assert log_value([Token(1, -1.0, {"probe:a": 1.0})], ["probe:a"]) == math.log(LEAST)
