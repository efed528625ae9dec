"""The allowed range of a number."""

from collections.abc import Iterable
from ctypes import c_float
from dataclasses import dataclass

from app.errors import ParameterError


@dataclass(frozen=True)
class Range:
    """Both ends are allowed. meaning: what is worth saying of one of them."""

    low: float
    high: float
    meaning: str


def in_single_precision(value: float, names: Iterable[float]) -> float:
    """A value, or the one of `names` from which it does not differ in single precision.

    What is computed in single precision cannot tell the two apart, so it is what it will be taken for.
    """
    rounded = c_float(value).value
    return next((name for name in names if c_float(name).value == rounded), value)


def require_range(name: str, value: float, allowed: Range) -> None:
    """Raise `ParameterError` unless the value is within the range; NaN is outside every range."""
    if not allowed.low <= value <= allowed.high:
        raise ParameterError(
            f"{name} is {value}; it must be between {allowed.low} and {allowed.high} ({allowed.meaning}).",
            param=name,
        )
