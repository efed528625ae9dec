"""The allowed range of a number."""

from dataclasses import dataclass

from app.errors import ParameterError


@dataclass(frozen=True)
class Range:
    """Both ends are allowed. meaning: what is worth saying of one of them."""

    low: float
    high: float
    meaning: str


def require_range(name: str, value: float, allowed: Range) -> None:
    """Raise `ParameterError` unless the value is within the range; NaN is outside every range."""
    if not allowed.low <= value <= allowed.high:
        raise ParameterError(
            f"{name} is {value}; it must be between {allowed.low} and {allowed.high} ({allowed.meaning}).",
            param=name,
        )
