"""DeepConf: samples that lose confidence are stopped, and the others vote with its weight.

Fu et al., "Deep Think with Confidence" (arXiv 2508.15260), online.

Token confidence C is the signal `confidence`; group confidence is the mean C of the last `window` tokens.
Of `warmup` samples the lowest group confidences give a bar that `keep_percent` of them stay above; each
further sample is stopped as soon as a group falls below it. Warm-up samples below it do not vote either.
Votes weigh as the text's confidence by `weight`. Samples are drawn `batch` at a time until there are
`samples`, or the leading answer has at least the share `consensus` of all weight.

There: window 2048, warm-up 16, up to 512 samples, keep 10% ("low") or 90% ("high"), consensus 0.95. The
defaults here are for texts of some hundred tokens. As there, samples are stopped only once they fill a
window. If no text that counts has an answer, the likeliest of them is returned.
"""

from typing import Literal

from pydantic import Field, model_validator

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.signals import ROUNDING
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.confidence import (
    ConfidenceAggregate,
    group_confidences,
    stopping_bar,
    trace_confidence,
)
from app.decoding.strategies.parts.voting import Ballot, ballot_of, conclude, tally

CONFIDENCE = "confidence"


class ConfidenceVoting(Strategy):
    """Stops samples that lose confidence and lets the others vote, weighted by theirs."""

    kind: Literal["confidence_voting"] = "confidence_voting"
    samples: int = Field(default=16, ge=1, le=512, description="Most samples to draw, the warm-up included.")
    warmup: int = Field(
        default=4, ge=1, le=512, description="Samples that are written to their end and set the bar."
    )
    keep_percent: float = Field(
        default=90.0,
        gt=0,
        le=100,
        description="Per cent of the warm-up samples that stay above the bar: the higher, the fewer samples "
        "are stopped.",
    )
    window: int = Field(default=16, ge=1, le=65536, description="Tokens of a group.")
    weight: ConfidenceAggregate = Field(
        default="lowest",
        description="What a vote weighs: mean confidence of all tokens, of the last window (tail), of the "
        "lowest tenth of the groups (bottom), or of the lowest group.",
    )
    consensus: float | None = Field(
        default=0.95,
        gt=0.5,
        le=1,
        description="Share of all weight at which the leading answer ends the sampling; null: none does.",
    )
    batch: int = Field(default=2, ge=1, le=512, description="Samples drawn between two looks at the votes.")
    answer_marker: AnswerMarker = ANSWER_MARKER

    @model_validator(mode="after")
    def _check_warmup(self) -> "ConfidenceVoting":
        if self.warmup > self.samples:
            raise ValueError(
                f"warmup is {self.warmup} and samples {self.samples}; warmup must be between 1 and samples."
            )
        return self

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({CONFIDENCE})

    async def decode(self, sequence: Sequence) -> Sequence:
        waiting = start_samples(sequence, self.samples)
        first, waiting = waiting[: self.warmup], waiting[self.warmup :]
        await gather(*(each.extend() for each in first))
        lowest = [min(group_confidences(confidences(each), self.window)) for each in first]
        # What equals the bar shall not fall below it by the rounding of sums.
        bar = stopping_bar(lowest, self.keep_percent) - ROUNDING
        # The highest of the lowest is never below the bar, so there is one at least.
        voting = [each for each, value in zip(first, lowest, strict=True) if value >= bar]
        stopped = 0
        while waiting and not self._is_consensus(self._ballots(voting)):
            batch, waiting = waiting[: self.batch], waiting[self.batch :]
            kept = await gather(*(self._write(each, bar) for each in batch))
            voting += [each for each, is_kept in zip(batch, kept, strict=True) if is_kept]
            stopped += kept.count(False)
        detail = {
            "bar": bar,
            "below_bar": len(first) - sum(value >= bar for value in lowest),
            "stopped": stopped,
            "spared": len(waiting),
        }
        return conclude(voting, self._ballots(voting), "earliest", detail)

    async def _write(self, sequence: Sequence, bar: float) -> bool:
        """Write a sample; whether it stayed above the bar."""
        while not sequence.finished:
            await sequence.next()
            recent = sequence.tokens[-self.window :]
            value = sum(token.signals[CONFIDENCE] for token in recent) / len(recent)
            if len(recent) == self.window and value < bar:
                sequence.record("confidence_stop", {"confidence": value, "bar": bar})
                return False
        # A text shorter than a window has one group, the whole.
        return min(group_confidences(confidences(sequence), self.window)) >= bar

    def _ballots(self, sequences: list[Sequence]) -> list[Ballot]:
        return [
            ballot_of(each, self.answer_marker, trace_confidence(confidences(each), self.window, self.weight))
            for each in sequences
        ]

    def _is_consensus(self, ballots: list[Ballot]) -> bool:
        sums = tally(ballots).values()
        return self.consensus is not None and bool(sums) and max(sums) >= self.consensus * sum(sums)


def confidences(sequence: Sequence) -> list[float]:
    """Confidence of every token."""
    return [token.signals[CONFIDENCE] for token in sequence.tokens]
