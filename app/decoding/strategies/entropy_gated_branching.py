"""Entropy-gated branching: a beam over steps that branches only at a step's first token in doubt.

Source: Li et al., 2025, arXiv 2503.21961.

Every beam writes a step by the request's own sampling. At the first token of the step whose entropy
exceeds the threshold it branches: the W likeliest tokens there go on, each to the end of the step,
without branching again. Of all beams' branches the best are kept; when all of these have ended, the best
is the answer.

The paper scores a branch with a process reward model. Here it is the mean raw log-probability of its
tokens, or the mean of a signal over those of its tokens that have it, such as a probe at the end of every
step; a branch without a value comes last. A branch starts where its beam stood, so nothing is written
twice.
"""

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.branches import fork_each
from app.decoding.strategies.parts.lookahead import above, doubtful_entropy, draw_each_unless, mean_logprob
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, step_written
from app.renamed import Renamed

LOGPROB = "logprob"


@dataclass(frozen=True)
class Grown:
    """A sequence after one more step. own: from which position on its tokens are no other's."""

    sequence: Sequence
    own: int


class EntropyGatedBranching(Strategy):
    """Branches at a step's first token of high entropy, writes the step in each branch and keeps the best."""

    renamed = (Renamed("branches", "candidates"), Renamed("beams", "width"))

    kind: Literal["entropy_gated_branching"] = "entropy_gated_branching"
    threshold: float | None = Field(
        default=None, ge=0, le=100, description="Entropy in nats above which to branch; else the calibrated."
    )
    candidates: int = Field(default=3, ge=2, le=16, description="Likeliest tokens that go on at a doubt.")
    width: int = Field(default=1, ge=1, le=16, description="Branches that are kept after each step.")
    step_ends: StepEnds = STEP_ENDS
    score: str = Field(
        default=LOGPROB,
        min_length=1,
        max_length=128,
        description='What ranks branches: "logprob", the mean over the tokens, or the mean of a signal, '
        'such as "probe:step_error".',
    )
    prefer: Literal["low", "high"] = Field(
        default="low", description="Which values of a signal are good. A log-probability is good if high."
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy"} if self.score == LOGPROB else {"entropy", self.score})

    def thresholds(self, calibration: SignalCalibration | None) -> float:
        """The entropy in nats above which to branch; else the calibrated quantile of `DOUBTFUL_PERCENT`.

        Raises:
            ParameterError: there is neither.
        """
        return doubtful_entropy(calibration, self.threshold, self.kind)

    async def decode(self, sequence: Sequence) -> Sequence:
        threshold = self.thresholds(sequence.spec.calibration)
        is_doubtful = above(threshold)
        beams = [sequence]
        while not all(beam.finished for beam in beams):
            beams = self._prune(await self._write_steps(beams, is_doubtful, threshold))
            if len(beams) == 1:
                beams[0].commit()
        return beams[0]

    async def _write_steps(
        self, beams: Items[Sequence], is_doubtful: Callable[[Token], bool], threshold: float
    ) -> list[Grown]:
        """Every beam's next step, in as many branches as it comes to."""
        is_complete = step_written(self.step_ends)
        starts = [beam.position for beam in beams]
        grown: list[list[Grown]] = [[Grown(beam, beam.position)] for beam in beams]
        going = [index for index, beam in enumerate(beams) if not beam.finished]
        while going:
            doubts = await draw_each_unless([beams[index] for index in going], is_doubtful, self.candidates)
            writing: list[int] = []
            for index, found in zip(going, doubts, strict=True):
                beam = beams[index]
                if found:
                    grown[index] = self._branch(beam, found, threshold)
                elif not (beam.finished or is_complete(beam.span(starts[index]))):
                    writing.append(index)
            going = writing
        await gather(
            *(
                self._finish_step(branch.sequence, start)
                for start, group in zip(starts, grown, strict=True)
                for branch in group
            )
        )
        return [branch for group in grown for branch in group]

    def _branch(self, beam: Sequence, found: Items[Token], threshold: float) -> list[Grown]:
        beam.record(
            "branch",
            {
                "entropy": found[0].signals["entropy"],
                "threshold": threshold,
                "branches": len(found),
                "candidates": " | ".join(beam.spec.text([token]) for token in found),
            },
        )
        return [Grown(branch, branch.position) for branch in fork_each(beam, found)]

    async def _finish_step(self, branch: Sequence, start: int) -> None:
        is_complete = step_written(self.step_ends)
        if not branch.finished and not is_complete(branch.span(start)):
            await branch.extend(until=lambda _: is_complete(branch.span(start)))

    def _prune(self, grown: list[Grown]) -> list[Sequence]:
        """The best beams, best first; of equals, the likelier token."""
        scored = [(self._score(each.sequence.tokens), each) for each in grown]
        ranked = sorted(scored, key=lambda pair: pair[0], reverse=True)
        kept, dropped = ranked[: self.width], ranked[self.width :]
        if dropped:
            best = kept[0][1].sequence
            best.record(
                "prune",
                {
                    "kept": len(kept),
                    "dropped": len(dropped),
                    "score": self._shown(kept[0][0]),
                    "best_dropped_score": self._shown(dropped[0][0]),
                    "best_dropped_text": dropped[0][1].sequence.text[-80:],
                    # Of those that were let go, what no other branch has.
                    "discarded": sum(each.sequence.position - each.own for _, each in dropped),
                },
            )
        return [each.sequence for _, each in kept]

    def _score(self, tokens: Iterable[Token]) -> float:
        """Higher is better; -inf without a value."""
        if self.score == LOGPROB:
            return mean_logprob(tokens)
        values = [token.signals[self.score] for token in tokens if self.score in token.signals]
        if not values:
            return float("-inf")
        mean = sum(values) / len(values)
        return mean if self.prefer == "high" else -mean

    def _shown(self, score: float) -> float | str:
        """A score as the trace has it: in the signal's own direction."""
        if score == float("-inf"):
            return "none"
        return -score if self.score != LOGPROB and self.prefer == "low" else score
