"""Entropy stop: an answer is given as soon as the model's entropy has settled.

At the end of every step, stops if the statistic of the entropies so far is below the threshold.

Sources: EAT and Think Just Enough, see the statistics. EAT reads one entropy per step, that of the token
after the forced end of thinking, and Think Just Enough the entropy of the 20 likeliest tokens. Here it is
that of every token written, over the whole vocabulary. A threshold that is left out is the statistic
over the calibrated tokens. Once the answer marker is there, nothing is stopped any more.

Both papers cut what a reasoning model writes after it has found its answer. Where every step is needed,
as in the corpus of the embedded model, an answer that is forced early is a guess.
"""

from collections.abc import Sequence as Items
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.decoding.calibration.calibration import SignalCalibration, SignalSummary, refuse_uncalibrated
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import PARAMS_CONFIG, Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, step_written


class EmaVariance(BaseModel):
    """Exponentially weighted variance of the tokens' entropies (EAT, arXiv 2509.26522), in nats squared.

    m <- m + a (H - m), v <- (1 - a) (v + a (H - m)^2) with the old m, from m = the first H and v = 0.
    """

    model_config = PARAMS_CONFIG

    statistic: Literal["ema_variance"] = "ema_variance"
    alpha: float = Field(default=0.1, gt=0, lt=1, description="Weight of the newest token.")

    def value(self, entropies: Items[float]) -> float:
        """Of at least one entropy, in nats, oldest first."""
        mean, variance = entropies[0], 0.0
        for entropy in entropies[1:]:
            deviation = entropy - mean
            mean += self.alpha * deviation
            variance = (1 - self.alpha) * (variance + self.alpha * deviation * deviation)
        return variance

    def typical(self, entropy: SignalSummary) -> float:
        """The variance over the calibrated tokens."""
        return entropy.variance


class RecentMean(BaseModel):
    """Mean of the latest entropies (Think Just Enough, arXiv 2510.08146), in nats."""

    model_config = PARAMS_CONFIG

    statistic: Literal["recent_mean"] = "recent_mean"
    window: int = Field(default=16, ge=1, le=4096, description="How many tokens; all while there are fewer.")

    def value(self, entropies: Items[float]) -> float:
        """Of at least one entropy, in nats, oldest first."""
        recent = entropies[-self.window :]
        return sum(recent) / len(recent)

    def typical(self, entropy: SignalSummary) -> float:
        """The mean over the calibrated tokens."""
        return entropy.mean


class EntropyStop(Strategy):
    """Stops writing once the entropy has settled, and ends there or forces the answer."""

    kind: Literal["entropy_stop"] = "entropy_stop"
    rule: Annotated[EmaVariance | RecentMean, Field(discriminator="statistic")] = Field(
        default=EmaVariance(), description="What has to be small for the entropy to have settled."
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="In the statistic's unit, nats or nats squared; else that of the calibrated tokens.",
    )
    min_steps: int = Field(default=1, ge=1, le=10_000, description="Steps to write before stopping.")
    then: Literal["end", "answer"] = Field(
        default="answer", description="End the text, or write the answer marker and let the model go on."
    )
    answer_marker: AnswerMarker = ANSWER_MARKER
    step_ends: StepEnds = STEP_ENDS

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy"})

    def thresholds(self, calibration: SignalCalibration | None) -> float:
        """The statistic below which the entropy has settled.

        Raises:
            ParameterError: none was given, and there is no calibration.
        """
        if self.threshold is not None:
            return self.threshold
        if calibration is None:
            refuse_uncalibrated(self.kind, "threshold")
        return self.rule.typical(calibration.signal("entropy"))

    async def decode(self, sequence: Sequence) -> Sequence:
        threshold = self.thresholds(sequence.spec.calibration)
        entropies: list[float] = []
        steps, start = 0, sequence.position
        is_complete = step_written(self.step_ends)
        while not sequence.finished:
            entropies.append((await sequence.next()).signals["entropy"])
            sequence.commit()
            if sequence.finished or not is_complete(sequence.span(start)):
                continue
            steps, start = steps + 1, sequence.position
            value = self.rule.value(entropies)
            if steps >= self.min_steps and value < threshold and self.answer_marker not in sequence.text:
                detail = {"statistic": self.rule.statistic, "value": value, "threshold": threshold}
                sequence.record("settled", {**detail, "steps": steps})
                await self._stop(sequence)
        return sequence

    async def _stop(self, sequence: Sequence) -> None:
        if self.then == "end":
            sequence.finish("entropy_settled")
            return
        await sequence.force(sequence.spec.encode(self.answer_marker), "force_answer")
        while not sequence.finished:
            await sequence.next()
            sequence.commit()
