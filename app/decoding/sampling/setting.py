"""The fields of samplers: what a number may be, and what a request is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, TypeVar

from pydantic import Field

from app.decoding.sampling.ranges import Range, in_single_precision, require_range

_UNBOUNDED = 2**31 - 1
_SETTING = "setting"

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Setting:
    """What there is to know of a field besides its name.

    requested: its type, and its default, limits and description, as pydantic's `create_model` takes them.
    read: from its value in a request to that of the parameter.
    allowed: the range of a number; None of anything else.
    single: the number is used in single precision.
    off_below: a number below it is the default.
    """

    default: Any
    requested: Any
    read: Callable[[Any], Any]
    allowed: Range | None = None
    single: bool = False
    off_below: float | None = None

    def settled(self, name: str, value: Any) -> Any:
        """What a value means where it is used.

        Raises:
            ParameterError: it is a number outside the range.
        """
        if self.allowed is None:
            return value
        require_range(name, value, self.allowed)
        if self.off_below is not None and value < self.off_below:
            return self.default
        if self.single:
            return in_single_precision(value, (self.default, self.allowed.low, self.allowed.high))
        return value


def number(
    default: _Number,
    allowed: Range,
    description: str,
    *,
    off: float | None = None,
    off_below: float | None = None,
    double: bool = False,
) -> _Number:
    """A field that is a number.

    Args:
        description: what it does; the range is told after it.
        off: a value below the range, which other servers use to turn it off; a request may hold it.
        off_below: a value below it is the default.
        double: it is used in double precision.
    """
    low = allowed.low if off is None else off
    span = f"{low:g} or more" if allowed.high == _UNBOUNDED else f"{low:g} to {allowed.high:g}"
    meaning = allowed.meaning if off is None else f"{allowed.meaning}, as does {off:g}"
    shown = Field(default=default, ge=low, le=allowed.high, description=f"{description} {span}; {meaning}.")
    kind = type(default)
    read = _same if off is None else partial(max, kind(allowed.low))
    return _field(Setting(default, (kind, shown), read, allowed, kind is float and not double, off_below))


def flag(description: str) -> bool:
    """A field that turns something on."""
    return _field(Setting(False, (bool, Field(default=False, description=description)), _same))


def strings(default: tuple[str, ...], requested: Any, description: str, **limits: Any) -> tuple[str, ...]:
    """A field of several texts. requested, limits: their type in a request, and pydantic's limits of it."""
    shown = Field(default=list(default), description=description, **limits)
    return _field(Setting(default, (requested, shown), tuple))


def _same(value: Any) -> Any:
    return value


def _field(setting: Setting) -> Any:
    """What stands for the default in the body of a dataclass."""
    return field(default=setting.default, metadata={_SETTING: setting})


def settings_of(of: Any) -> dict[str, Setting]:
    """The fields of a dataclass that holds nothing else, in order."""
    return {each.name: each.metadata[_SETTING] for each in fields(of)}
