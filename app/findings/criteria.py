"""When a number supports a finding, refutes it, or leaves it open: fixed before the first run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nextafter
from typing import Literal

from app.compare.results import Estimate

Verdict = Literal["supported", "refuted", "undecided"]
FEWEST_SEEDS = 2
"""With one seed nobody knows how much of a number is that seed's."""


@dataclass(frozen=True)
class Between:
    """From `low` to `high`, both included."""

    low: float = -inf
    high: float = inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"nothing is between {self.low} and {self.high}")

    def holds(self, interval: Estimate) -> bool:
        """Whether all of an interval lies in it. One without bounds is not known well enough."""
        if interval.low is None or interval.high is None:
            return False
        return self.low <= interval.low and interval.high <= self.high


def above(value: float) -> Between:
    """More than a value."""
    return Between(low=nextafter(value, inf))


def below(value: float) -> Between:
    """Less than a value."""
    return Between(high=nextafter(value, -inf))


@dataclass(frozen=True)
class Criterion:
    """A number that a finding stands or falls by.

    quantity: its key among the results. meaning: what it is, in words. unit: `%` where it is a share.
    supported: where its interval must lie. refuted: where it must not; between the two nothing is said.
    Without a range that refutes it is a condition of the experiment: one that fails leaves all open.
    """

    quantity: str
    meaning: str
    supported: Between
    refuted: tuple[Between, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        for other in self.refuted:
            if max(self.supported.low, other.low) <= min(self.supported.high, other.high):
                raise ValueError(f"{self.quantity}: a value would both support and refute")

    def decide(self, measured: Estimate | None) -> Verdict:
        """What an estimate says; nothing where there is none."""
        if measured is None:
            return "undecided"
        if self.supported.holds(measured):
            return "supported"
        return "refuted" if any(each.holds(measured) for each in self.refuted) else "undecided"


def over_seeds(measured: Sequence[Estimate]) -> Estimate | None:
    """One estimate of several seeds': the mean, and from the lowest bound of any seed to the highest.

    Each seed's own interval is over problems or people; so the interval holds what every seed says. None
    where there are fewer than `FEWEST_SEEDS`.
    """
    if len(measured) < FEWEST_SEEDS:
        return None
    value = sum(each.value for each in measured) / len(measured)
    bounds = [(each.low, each.high) for each in measured]
    lows = [low for low, _ in bounds if low is not None]
    highs = [high for _, high in bounds if high is not None]
    if len(lows) < len(measured) or len(highs) < len(measured):
        return Estimate(value=value)
    return Estimate(value=value, low=min(lows), high=max(highs))


def decide_all(criteria: Iterable[Criterion], measured: Mapping[str, Estimate | None]) -> Verdict:
    """Supported where every number supports, refuted where one refutes and every condition holds."""
    verdicts = {each: each.decide(measured.get(each.quantity)) for each in criteria}
    if any(not each.refuted and verdict != "supported" for each, verdict in verdicts.items()):
        return "undecided"
    if "refuted" in verdicts.values():
        return "refuted"
    return "supported" if set(verdicts.values()) == {"supported"} else "undecided"
