"""Self-consistency: several samples, and the answer that most of them give.

Wang et al., "Self-consistency improves chain of thought reasoning" (arXiv 2203.11171): samples by the
request's own chain, a vote each, most votes win. The text returned is the likeliest of those that give
the winning answer. A request of temperature 0 draws the same text every time.

Samples are drawn `batch` at a time, and `stop` may spare the rest: "decided" once they could not change
the winner (same answer, fewer tokens), "confident" once the leading answer is likelier than the next with
probability `confidence` (adaptive consistency, Aggarwal et al., arXiv 2305.11860, Beta criterion; there
one sample at a time).
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.voting import (
    Ballot,
    Ties,
    ballot_of,
    conclude,
    is_decided,
    lead_probability,
    tally,
)

Stop = Literal["never", "decided", "confident"]


class SelfConsistency(Strategy):
    """Draws several samples and returns the answer that most of them give."""

    kind: Literal["self_consistency"] = "self_consistency"
    samples: int = Field(default=8, ge=1, le=256, description="Most samples to draw.")
    answer_marker: AnswerMarker = ANSWER_MARKER
    ties: Ties = Field(
        default="earliest",
        description="Of answers with equal votes: the one that came first, or that of the likeliest text.",
    )
    stop: Stop = Field(
        default="decided",
        description="When to draw no more: never, when the rest cannot change the winner, or when it is "
        "sure enough.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description='For stop "confident": least probability that the leading answer is the likelier one.',
    )
    batch: int = Field(default=2, ge=1, le=256, description="Samples drawn between two looks at the votes.")

    async def decode(self, sequence: Sequence) -> Sequence:
        waiting = start_samples(sequence, self.samples)
        written: list[Sequence] = []
        ballots: list[Ballot] = []
        while waiting and not self._is_enough(ballots):
            batch, waiting = waiting[: self.batch], waiting[self.batch :]
            await gather(*(each.extend() for each in batch))
            written += batch
            ballots += [ballot_of(each, self.answer_marker) for each in batch]
        return conclude(written, ballots, self.ties, {"spared": len(waiting)})

    def _is_enough(self, ballots: list[Ballot]) -> bool:
        counts = tally(ballots)
        match self.stop:
            case "never":
                return False
            case "decided":
                return is_decided(counts, self.samples - len(ballots))
            case "confident":
                return lead_probability(counts) >= self.confidence
