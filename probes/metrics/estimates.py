"""A measured number and its interval, in Python and in JSON.

A number that the rows cannot tell (an AUROC without positives) is NaN in Python and null in JSON.
"""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


def _null_as_nan(value: object) -> object:
    return math.nan if value is None else value


def _finite_or_nan(value: float) -> float:
    if math.isinf(value):
        raise ValueError("an infinite number; a measured value is finite, or NaN where it is undefined")
    # Always the same NaN object, so that two equal results compare equal.
    return math.nan if math.isnan(value) else value


def _nan_as_null(value: float) -> float | None:
    return None if math.isnan(value) else value


Number = Annotated[
    float,
    BeforeValidator(_null_as_nan),
    AfterValidator(_finite_or_nan),
    PlainSerializer(_nan_as_null, when_used="json"),
]


class Result(BaseModel):
    """Base of all models here: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(Result):
    """A measured value and its 95% interval."""

    value: Number
    low: Number
    high: Number


class Metrics(Result):
    """How well scores tell positive rows from negative ones; formulas are in `probes.metrics`."""

    auroc: Estimate
    average_precision: Estimate
    recall_at_1: Estimate  # recall at no more than 1% false alarms
    recall_at_5: Estimate
    recall_at_10: Estimate
    brier: Estimate
    ece: Estimate
    within_problem_auroc: Estimate
