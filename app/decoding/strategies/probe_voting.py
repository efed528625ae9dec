"""Probe voting: several samples, whose votes weigh what a probe thinks of their steps.

Samples by the request's own chain, each with a vote for its answer, weighted by probes.

A text is right with probability w = product over its probes, and over their readings in it, of 1 - p,
where p is a probe's calibrated probability of a mistake (as if steps failed independently). A vote weighs
w, as in weighted majority voting by a verifier (Li et al., arXiv 2206.02336), or its log-odds
ln(w / (1 - w)), which is optimal for independent voters between two answers (Nitzan & Paroush, 1982) and
lets a text that is probably wrong vote against its answer. A text at which no probe was read weighs 0.
"""

from math import log, prod
from typing import Annotated, Literal

from pydantic import Field

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.values import aggregate, read_values
from app.decoding.strategies.parts.voting import ballot_of, conclude
from app.renamed import Renamed

Weight = Literal["probability", "log_odds"]
Readings = Literal["product", "min", "last"]

# A vote that is certain shall not outvote all others.
_EDGE = 1e-6


def probability_right(tokens: list[Token], probes: tuple[str, ...], readings: Readings) -> float | None:
    """Product over the probes of 1 - p, where p is the probability of a mistake; a probe's readings in one
    text are joined as `readings` says. None where no probe was read."""
    found = [aggregate(read_values(tokens, name), readings) for name in probes]
    read = [value for value in found if value is not None]
    return prod(read) if read else None


def vote_weight(right: float | None, weight: Weight) -> float:
    """1 - p, or the log-odds ln((1 - p) / p) that a text is right; 0 where nothing is known."""
    if right is None:
        return 0.0
    if weight == "probability":
        return right
    bounded = min(max(right, _EDGE), 1 - _EDGE)
    return log(bounded / (1 - bounded))


class ProbeVoting(Strategy):
    """Draws several samples and lets them vote, weighted by what probes think of them."""

    renamed = (Renamed("readings", "aggregate", values={"worst": "min"}),)

    kind: Literal["probe_voting"] = "probe_voting"
    samples: int = Field(default=8, ge=1, le=256, description="Samples to draw.")
    probes: tuple[Annotated[str, Field(pattern=r"^probe:.+", max_length=128)], ...] = Field(
        default=("probe:step_error",),
        min_length=1,
        max_length=8,
        fail_fast=True,
        description='Probes of mistakes: "probe:NAME" from GET /v1/signals.',
    )
    weight: Weight = Field(
        default="probability", description="What a vote weighs: the probability to be right, or its log-odds."
    )
    aggregate: Readings = Field(
        default="product",
        description="How a probe's readings in one text are joined: multiplied, the lowest, or the last.",
    )
    answer_marker: AnswerMarker = ANSWER_MARKER

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(self.probes)

    async def decode(self, sequence: Sequence) -> Sequence:
        samples = start_samples(sequence, self.samples)
        await gather(*(each.extend() for each in samples))
        ballots = [ballot_of(each, self.answer_marker, self._weight(each)) for each in samples]
        return conclude(samples, ballots, "earliest")

    def _weight(self, sequence: Sequence) -> float:
        right = probability_right(list(sequence.tokens), self.probes, self.aggregate)
        return vote_weight(right, self.weight)
