"""What probes say of a text so far, step by step, as one number."""

from collections.abc import Iterable, Sequence
from math import fsum, log, prod
from typing import Annotated, Literal

from pydantic import Field

from app.decoding.core.types import Token

StepAggregate = Literal["min", "mean", "last", "product"]
"""How the values of a text's steps become one: the worst, the average, the latest, or the probability that
all are right if each value is that of a step after right ones."""

Probe = Annotated[
    str,
    Field(
        pattern="^probe:",
        max_length=128,
        description='A probe among the signals of GET /v1/signals, as "probe:step_error". Its value p is the '
        "probability that something is wrong.",
    ),
]

STEP_ERROR = "probe:step_error"

DIGITS = 4
"""Decimals of a score that count in a comparison: those behind differ, by what else is in the batch."""

LEAST = 1e-12
"""A probe is never taken to be surer than this that a step is wrong, so that logarithms stay finite."""


def read_values(tokens: Iterable[Token], probe: str) -> list[float]:
    """1 - p at every token where the probe was read."""
    return [1.0 - token.signals[probe] for token in tokens if probe in token.signals]


def aggregate(values: Sequence[float], how: StepAggregate) -> float | None:
    """One value for a text; None where there is none to read."""
    if not values:
        return None
    match how:
        case "min":
            return min(values)
        case "mean":
            return fsum(values) / len(values)
        case "last":
            return values[-1]
        case "product":
            return prod(values)


def log_value(tokens: Iterable[Token], probes: Iterable[str]) -> float:
    """Sum of log(1 - p) over all readings of all the probes, in nats; 0 where there is none."""
    read = list(tokens)
    return fsum(log(max(LEAST, value)) for probe in probes for value in read_values(read, probe))
