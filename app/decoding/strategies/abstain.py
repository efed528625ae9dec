"""Abstain: an answer only where the risk that it is wrong is under a level that was asked for.

Selective answering with a threshold by Learn-then-Test (Angelopoulos et al., arXiv 2110.01052; the
tests are in `app.decoding.calibration.risk`).

Guarantee: with probability at least 1 - delta over the draw of the calibration problems, the share of
wrong answers among those given (`risk` "selective"), or of wrong answers among all problems ("overall"),
is at most `level`. It holds for greedy answers to problems drawn as those of the calibration, by the same
model and probes, without penalties or stop strings, and for one score that was chosen beforehand; not for
each problem or kind of problem by itself. The problem is the unit, not the step. With `decoding`
"sample" the same threshold is used, but nothing is guaranteed. The calibration's grid and order of
tests come from problems of their own.

Declines with finish reason "abstain" where the score is above the threshold, or the score has no value:
`answer_error` before a word is written; `step_error` (the worst step) and `surprisal` (-ln p of the text)
as soon as they exceed it; `mean_entropy` at the end.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Literal, NoReturn

from pydantic import Field

from app.decoding.calibration.calibration import SignalCalibration, refuse_uncalibrated
from app.decoding.calibration.doubt import DOUBTS, Doubt, DoubtName
from app.decoding.calibration.risk import RiskKind, choose, lowest_level
from app.decoding.calibration.risk_table import RiskCounts
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.errors import MissingError, ParameterError


@dataclass(frozen=True)
class Policy:
    """The threshold of a score, the bound of the risk there, and the share of problems that is answered."""

    threshold: float
    bound: float
    coverage: float


class Abstain(Strategy):
    """Answers only where the risk of a wrong answer is under a level, and declines elsewhere."""

    kind: Literal["abstain"] = "abstain"
    level: float = Field(default=0.05, gt=0, lt=1, description="Highest risk that is allowed.")
    delta: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Probability that the calibration problems were drawn so that the risk is above it.",
    )
    risk: RiskKind = Field(
        default="selective",
        description="selective: wrong answers among those given; overall: wrong answers among all problems.",
    )
    score: DoubtName = Field(
        default="step_error",
        description="What is compared with the threshold: the probe answer_error before the answer, the "
        "worst step by the probe step_error, the mean entropy, or the surprisal of the whole text.",
    )
    decoding: Literal["greedy", "sample"] = Field(
        default="greedy", description="How the answer is written; the guarantee is for greedy."
    )
    threshold: float | None = Field(
        default=None,
        description="Of the score, in place of a calibrated one: then nothing is guaranteed, and level, "
        "delta and risk play no part.",
        allow_inf_nan=False,
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self._doubt.signal})

    def thresholds(self, calibration: SignalCalibration | None) -> Policy:
        """What is answered.

        Raises:
            ParameterError: nothing was calibrated, or no threshold keeps the risk under the level; says which
                level is the lowest that can be kept.
        """
        if self.threshold is not None:
            return Policy(self.threshold, 1.0, 0.0)
        if calibration is None:
            refuse_uncalibrated(self.kind, "threshold")
        table = calibration.risk
        if table is None or self.score not in table.scores:
            raise MissingError(
                f"strategy {self.kind!r} by score {self.score!r} needs counts of wrong answers, which the "
                "calibration lacks; run `demur calibrate --risk-problems 2000` with its probes, or with "
                "--prompts that have answers, take another score, or give a threshold (without a guarantee).",
                param="strategy",
            )
        return _policy(table.scores[self.score], self.risk, self.level, self.delta)

    async def decode(self, sequence: Sequence) -> Sequence:
        policy = self.thresholds(sequence.spec.calibration)
        greedy = replace(sequence.sampling, temperature=0.0)
        sampling = greedy if self.decoding == "greedy" else sequence.sampling
        while not sequence.finished:
            await sequence.next(sampling)
            if sequence.finished or not self._doubt.only_grows:
                continue
            read = self._doubt.signal in sequence.tokens[-1].signals
            if read and self._score(sequence) > policy.threshold:
                return self._declined(sequence, policy)
            if read and self._doubt.combine == "first":
                break
        if self._score(sequence) > policy.threshold:
            return self._declined(sequence, policy)
        sequence.record("answer", self._detail(sequence, policy))
        while not sequence.finished:
            sequence.commit()
            await sequence.next(sampling)
        return sequence

    @property
    def _doubt(self) -> Doubt:
        return DOUBTS[self.score]

    def _score(self, sequence: Sequence) -> float:
        """The score of the text so far; a token that ends it is no part of it."""
        ending = sequence.ending
        cut = 1 if ending is not None and ending.ended_by_token else 0
        return self._doubt.of(token.signals for token in sequence.tokens[: len(sequence.tokens) - cut])

    def _declined(self, sequence: Sequence, policy: Policy) -> Sequence:
        sequence.decline("risk", self._detail(sequence, policy))
        return sequence

    def _detail(self, sequence: Sequence, policy: Policy) -> dict[str, float | int | str]:
        value = self._score(sequence)
        detail: dict[str, float | int | str] = {
            "score": self.score,
            "value": "unread" if value == inf else value,
            "threshold": policy.threshold,
        }
        if self.threshold is not None:
            return detail
        promise = {"risk": self.risk, "level": self.level, "delta": self.delta, "bound": policy.bound}
        return detail | promise | {"coverage": policy.coverage, "guaranteed": int(self.decoding == "greedy")}


def _policy(counts: RiskCounts, risk: RiskKind, level: float, delta: float) -> Policy:
    chosen = choose(counts.tuning, counts.tested, risk, level, delta)
    if chosen is None:
        _refuse_infeasible(counts, risk, level, delta)
    answered = counts.tested.answered[chosen.index]
    return Policy(counts.thresholds[chosen.index], chosen.bound, answered / counts.tested.problems)


def _refuse_infeasible(counts: RiskCounts, risk: RiskKind, level: float, delta: float) -> NoReturn:
    lowest = lowest_level(counts.tuning, counts.tested, risk, delta)
    # Rounded up, so that the level that is named can be asked for.
    named = min(1.0, (int(lowest * 10_000) + 1) / 10_000)
    raise ParameterError(
        f"level is {level}, which is infeasible: on {counts.tested.problems} problems no threshold keeps the "
        f"{risk} risk under it with probability {1 - delta:g}. The lowest level that can be kept is "
        f"{named:.4f}; ask for that, raise delta, take another score, or calibrate on more problems.",
        param="strategy",
    )
