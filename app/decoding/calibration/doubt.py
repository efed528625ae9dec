"""Scores of doubt about a whole answer, each from one signal at its tokens: the higher, the less trusted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, assert_never

DoubtName = Literal["answer_error", "step_error", "mean_entropy", "surprisal"]


@dataclass(frozen=True)
class Doubt:
    """A score: the first value of a signal in the answer, the highest, the sum or the mean."""

    signal: str
    combine: Literal["first", "highest", "sum", "mean"]

    @property
    def only_grows(self) -> bool:
        """Whether more text never lowers it, so that it can be judged while the text is written."""
        return self.combine != "mean"

    def of(self, signals: Iterable[Mapping[str, float]]) -> float:
        """The score, of the signals at each token; infinite where this one has no value at any of them."""
        values = [read[self.signal] for read in signals if self.signal in read]
        if not values:
            return inf
        match self.combine:
            case "first":
                return values[0]
            case "highest":
                return max(values)
            case "sum":
                return sum(values)
            case "mean":
                return sum(values) / len(values)
            case _:
                assert_never(self.combine)


DOUBTS: dict[DoubtName, Doubt] = {
    "answer_error": Doubt("probe:answer_error", "first"),
    "step_error": Doubt("probe:step_error", "highest"),
    "mean_entropy": Doubt("entropy", "mean"),
    "surprisal": Doubt("surprisal", "sum"),
}
