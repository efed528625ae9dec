"""Entropix: what to do with a token follows from its entropy and varentropy.

Source: github.com/xjdr-alt/entropix; entropy H and varentropy V there are in bits, here in nats.

H low,  V low   argmax: the likeliest token.
H high, V low   pause: the likeliest candidates are continued greedily for some tokens, and the candidate
                with the highest mean log-probability is taken. The original inserts a thinking token.
H not high, V high   branch: each candidate goes on to the end of the step by the request's own sampling,
                and the branch with the highest mean log-probability is kept. In the original a sampler
                that never branches, or nothing.
H high, V high  resample: the token is drawn at another temperature or, "without", the one that was drawn
                is taken back and another is drawn in its place, as the original's later version does.
else            the request's own sampling.

Thresholds that are left out are the calibrated quantiles of `PERCENTS`. The original's attention entropy
and its scaling of temperature, top-p and top-k are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pydantic import Field, model_validator

from app.decoding.calibration.calibration import SignalCalibration, refuse_uncalibrated
from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.branches import fork_each
from app.decoding.strategies.parts.lookahead import look_ahead, mean_logprob
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, closes_step
from app.errors import ConflictError

Quadrant = Literal["argmax", "pause", "branch", "resample", "sample"]

# Percents of the calibrated tokens. A trained model is sure of nearly all of its tokens, so that even the low
# thresholds lie in the tail; the varentropy's two are one, and nothing is left between them.
PERCENTS: Mapping[str, tuple[str, int]] = {
    "entropy_low": ("entropy", 95),
    "entropy_high": ("entropy", 98),
    "varentropy_low": ("varentropy", 98),
    "varentropy_high": ("varentropy", 98),
}


@dataclass(frozen=True)
class Thresholds:
    """Of the entropy in nats and the varentropy in nats squared."""

    entropy_low: float
    entropy_high: float
    varentropy_low: float
    varentropy_high: float

    def quadrant(self, signals: Mapping[str, float]) -> Quadrant:
        """Where a token lies; "sample" is between the quadrants."""
        entropy, varentropy = signals["entropy"], signals["varentropy"]
        if entropy <= self.entropy_low and varentropy <= self.varentropy_low:
            return "argmax"
        if varentropy > self.varentropy_high:
            return "resample" if entropy > self.entropy_high else "branch"
        if entropy > self.entropy_high and varentropy <= self.varentropy_low:
            return "pause"
        return "sample"

    def detail(self, signals: Mapping[str, float]) -> dict[str, float | int | str]:
        """For the trace."""
        return {
            "entropy": signals["entropy"],
            "entropy_threshold": self.entropy_high,
            "varentropy": signals["varentropy"],
            "varentropy_threshold": self.varentropy_high,
        }


class Entropix(Strategy):
    """Takes, ponders, branches at or redraws a token according to its entropy and varentropy."""

    kind: Literal["entropix"] = "entropix"
    entropy_low: float | None = Field(
        default=None, ge=0, le=100, description="Nats; the likeliest token is taken up to here."
    )
    entropy_high: float | None = Field(
        default=None, ge=0, le=100, description="Nats; above, a token is pondered or drawn otherwise."
    )
    varentropy_low: float | None = Field(
        default=None, ge=0, le=10_000, description="Nats squared; low up to here."
    )
    varentropy_high: float | None = Field(
        default=None, ge=0, le=10_000, description="Nats squared; high above."
    )
    candidates: int = Field(default=3, ge=1, le=20, description="Likeliest tokens to ponder or branch over.")
    lookahead: int = Field(
        default=5, ge=1, le=256, description="Tokens to look ahead in a pause, the candidate included."
    )
    step_ends: StepEnds = STEP_ENDS
    resample: Literal["temperature", "without"] = Field(
        default="temperature", description="Draw at another temperature, or draw another token at it."
    )
    resample_temperature: float = Field(default=1.5, ge=0, le=100, description="That temperature.")

    @model_validator(mode="after")
    def _ordered(self) -> "Entropix":
        for signal, low, high in (
            ("entropy", self.entropy_low, self.entropy_high),
            ("varentropy", self.varentropy_low, self.varentropy_high),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"{signal}_low is {low}; it may not be above {signal}_high, which is {high}")
        return self

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy", "varentropy"})

    def thresholds(self, calibration: SignalCalibration | None) -> Thresholds:
        """Those that were given, and the calibrated ones for the rest.

        Raises:
            ParameterError: there is no calibration for the rest, or a low one is above its high one.
        """
        given = {name: getattr(self, name) for name in PERCENTS}
        values = {name: value for name, value in given.items() if value is not None}
        missing = [name for name in PERCENTS if name not in values]
        if missing and calibration is None:
            refuse_uncalibrated(self.kind, ", ".join(missing))
        if calibration is not None:
            for name in missing:
                signal, percent = PERCENTS[name]
                values[name] = calibration.signal(signal).quantile(percent)
        for signal in ("entropy", "varentropy"):
            low, high = values[f"{signal}_low"], values[f"{signal}_high"]
            if low > high:
                raise ConflictError(
                    f"{signal}_low is {low:.4g}, above {signal}_high, which is {high:.4g}; thresholds that "
                    "are left out are the calibrated ones. Lower the one or raise the other.",
                    param="strategy",
                )
        return Thresholds(**values)

    async def decode(self, sequence: Sequence) -> Sequence:
        thresholds = self.thresholds(sequence.spec.calibration)
        while not sequence.finished:
            token = await sequence.next(partial(self._sampling, sequence, thresholds))
            quadrant = thresholds.quadrant(token.signals)
            if quadrant in ("pause", "branch") or (quadrant == "resample" and self.resample == "without"):
                sequence.rewind(sequence.position - 1, quadrant, thresholds.detail(token.signals))
                if quadrant == "resample":
                    await self._draw_another(sequence, token)
                else:
                    found = await sequence.candidates(self.candidates)
                    act = self._pause if quadrant == "pause" else self._branch
                    sequence = await act(sequence, found)
            sequence.commit()
        return sequence

    def _sampling(
        self, sequence: Sequence, thresholds: Thresholds, signals: Mapping[str, float]
    ) -> SamplingParams:
        quadrant = thresholds.quadrant(signals)
        own = sequence.sampling
        temperature = own.temperature
        if quadrant == "argmax":
            temperature = 0.0
        elif quadrant == "resample" and self.resample == "temperature":
            temperature = self.resample_temperature
        if temperature == own.temperature:
            return own
        sequence.record(quadrant, {**thresholds.detail(signals), "temperature": temperature})
        return own.at_temperature(temperature)

    async def _draw_another(self, sequence: Sequence, rejected: Token) -> None:
        bias = {**sequence.sampling.logit_bias, rejected.id: -100.0}
        others = replace(sequence.sampling, logit_bias=bias)
        await sequence.next(others.at_temperature(self.resample_temperature))

    async def _pause(self, sequence: Sequence, found: tuple[Token, ...]) -> Sequence:
        start = sequence.position
        branches = await look_ahead(sequence, found, self.lookahead)
        best = self._best(sequence, branches)
        lengths = [branch.position - start for branch in branches]
        self._record_choice(sequence, found, best, discarded=sum(lengths) - len(lengths))
        sequence.take(found[best])
        return sequence

    async def _branch(self, sequence: Sequence, found: tuple[Token, ...]) -> Sequence:
        start = sequence.position
        branches = fork_each(sequence, found)
        await gather(*(self._finish_step(branch) for branch in branches))
        best = self._best(sequence, branches)
        lengths = [branch.position - start for branch in branches]
        self._record_choice(
            sequence, found, best, discarded=sum(lengths) - len(lengths) - (lengths[best] - 1)
        )
        return branches[best]

    async def _finish_step(self, branch: Sequence) -> None:
        while not (branch.finished or closes_step(branch.spec, branch.tokens, self.step_ends)):
            await branch.next()

    def _best(self, sequence: Sequence, branches: list[Sequence]) -> int:
        scores = [mean_logprob(branch.tokens[sequence.position :]) for branch in branches]
        return scores.index(max(scores))

    def _record_choice(self, sequence: Sequence, found: tuple[Token, ...], best: int, discarded: int) -> None:
        text = sequence.spec.text
        sequence.record(
            "choice",
            {
                "candidates": len(found),
                "rank": best,
                "text": text([found[best]]),
                "instead_of": text([found[0]]),
                "discarded": discarded,
            },
        )
