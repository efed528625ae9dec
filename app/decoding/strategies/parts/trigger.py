"""When a strategy acts: a signal beyond a threshold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.decoding.core.types import Token


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger that fired: the token's place among those that were shown to it, and the signal's value."""

    index: int
    value: float


class Trigger(BaseModel):
    """Fires where a signal is above, or below, a threshold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    signal: str = Field(
        min_length=1,
        max_length=128,
        description='A name from GET /v1/signals: "entropy", "probe:step_error".',
    )
    threshold: float = Field(description="In the signal's unit; the value itself does not fire.")
    when: Literal["above", "below"] = Field(
        default="above", description="On which side of the threshold it fires."
    )

    def fires_on(self, value: float) -> bool:
        """Whether this value of the signal is beyond the threshold."""
        return value > self.threshold if self.when == "above" else value < self.threshold

    def excess(self, value: float) -> float:
        """How far this value of the signal is beyond the threshold; negative where it does not fire."""
        return value - self.threshold if self.when == "above" else self.threshold - value

    def first(self, tokens: Iterable[Token]) -> Firing | None:
        """The first token that it fires on. Tokens that lack the signal do not count."""
        for index, token in enumerate(tokens):
            value = token.signals.get(self.signal)
            if value is not None and self.fires_on(value):
                return Firing(index, value)
        return None

    def detail(self, firing: Firing) -> dict[str, float | int | str]:
        """For the trace."""
        return {"signal": self.signal, "value": firing.value, "threshold": self.threshold}
