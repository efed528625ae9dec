"""EAGer: sequences that branch where the entropy is high, out of one budget, and vote in the end.

Source: Scalena et al., 2025, arXiv 2510.11170.

One sequence begins. Whenever a sequence meets a token whose entropy exceeds the threshold, and fewer than
M sequences were begun, it takes the likeliest token there, and a new sequence goes on with the second
likeliest. When M are reached, all are written to their ends. Before that, they advance token by token
together, so that the budget goes to the earliest doubts, and to the oldest of equally early ones.

"majority" returns, among the sequences with the commonest answer, the one with the highest mean raw
log-probability, and so does "best" among all. The paper hands what a prompt left of its budget to prompts
that needed more; a request has one prompt, so what is left over is saved.
"""

from typing import Literal

from pydantic import Field

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker, read_answer
from app.decoding.strategies.parts.branches import fork_each
from app.decoding.strategies.parts.lookahead import above, doubtful_entropy, draw_each_unless, mean_logprob
from app.decoding.strategies.parts.voting import Ballot, elect, tally, told
from app.renamed import Renamed

_BRANCHES = 2


class Eager(Strategy):
    """Begins further sequences only where the entropy is high, out of one budget, and lets them vote."""

    renamed = (Renamed("sequences", "samples"),)

    kind: Literal["eager"] = "eager"
    threshold: float | None = Field(
        default=None, ge=0, le=100, description="Entropy in nats above which to branch; else the calibrated."
    )
    samples: int = Field(default=8, ge=1, le=64, description="Most sequences in all.")
    choose: Literal["majority", "best"] = Field(
        default="majority", description="The commonest answer, or the likeliest sequence."
    )
    answer_marker: AnswerMarker = ANSWER_MARKER

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy"})

    def thresholds(self, calibration: SignalCalibration | None) -> float:
        """The entropy in nats above which to branch; else the calibrated quantile of `DOUBTFUL_PERCENT`.

        Raises:
            ParameterError: there is neither.
        """
        return doubtful_entropy(calibration, self.threshold, self.kind)

    async def decode(self, sequence: Sequence) -> Sequence:
        threshold = self.thresholds(sequence.spec.calibration)
        is_doubtful = above(threshold)
        every = [sequence]
        while len(every) < self.samples and not all(each.finished for each in every):
            going = [each for each in every if not each.finished]
            doubts = await draw_each_unless(going, is_doubtful, _BRANCHES)
            for each, found in zip(going, doubts, strict=True):
                if found:
                    every.extend(self._branch(each, found, threshold, len(every)))
            if len(every) == 1:
                sequence.commit()
        await gather(*(each.extend() for each in every))
        return self._chosen(every)

    def _branch(
        self, sequence: Sequence, found: tuple[Token, ...], threshold: float, begun: int
    ) -> list[Sequence]:
        """Go on with the likeliest token; the new sequence with another, if there is budget."""
        begins = begun < self.samples and len(found) == _BRANCHES
        if begins:
            sequence.record(
                "branch",
                {
                    "entropy": found[0].signals["entropy"],
                    "threshold": threshold,
                    "sequences": begun + 1,
                    "candidates": " | ".join(sequence.spec.text([token]) for token in found),
                },
            )
        others = fork_each(sequence, found[1:]) if begins else []
        sequence.take(found[0])
        return others

    def _chosen(self, every: list[Sequence]) -> Sequence:
        if len(every) == 1:
            return every[0]
        ballots = [
            Ballot(read_answer(each.text, self.answer_marker), mean_logprob(each.tokens)) for each in every
        ]
        votes = tally(ballots)
        # The first of equals, which is the older sequence.
        if self.choose == "majority":
            elected = elect(ballots, "logprob")
        else:
            elected = max(range(len(ballots)), key=lambda index: ballots[index].logprob)
        best, answer = every[elected], ballots[elected].answer
        best.record(
            "vote" if self.choose == "majority" else "best",
            {
                "sequences": len(every),
                "answer": "none" if answer is None else answer,
                "votes": 0 if answer is None else round(votes[answer]),
                "answers": told(votes),
                "score": ballots[elected].logprob,
            },
        )
        return best
