"""What a comparison says: plain data, kept as `report.json`, drawn by the report. What is unknown is null."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.compare.spec import ComparisonSpec

Measure = Literal["solved", "correct", "score"]
PairVerdict = Literal["better", "worse", "not clear"]


class Result(BaseModel):
    """Base of all models here: frozen, unknown fields are refused, and so are NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Result):
    """A measured value and its 95% interval."""

    value: float
    low: float | None = None
    high: float | None = None


class Spread(Result):
    """A number per problem: its mean, with the interval from resampling problems, and its quantiles."""

    mean: Estimate
    q05: float
    q50: float
    q95: float


class Duration(Result):
    """Seconds per problem: the median, with the interval from order statistics, and the 95% quantile."""

    problems: int
    median: Estimate
    p95: float


class Latency(Result):
    """under_load: among all that ran at the same time. alone, first_token: with the engine to itself."""

    under_load: Duration | None = None
    alone: Duration | None = None
    first_token: Duration | None = None


class GroupResult(Result):
    """An arm on the problems of one group. tokens: mean of all, discarded ones included."""

    group: str
    problems: int
    accuracy: Estimate | None
    tokens: float


class ArmResult(Result):
    """What one arm reached, and what it cost.

    problems: so many are finished. accuracy: share right by the report's measure, an abstention being wrong;
    of `score` the mean. answers_right: share of right answers whatever the steps, or with the full score.
    coverage: share on which it did not abstain; accuracy_when_answered is over those. tokens: kept and
    discarded together. events: rules that fired. unjudged: answers on which the judge failed.
    told: the strategy is told what is wrong, so no request can use it.
    """

    name: str
    told: bool
    problems: int
    accuracy: Estimate | None
    answers_right: Estimate | None
    coverage: Estimate | None
    accuracy_when_answered: Estimate | None
    tokens: Spread | None
    kept: Spread | None
    discarded: Spread | None
    forward_rows: Spread | None
    events: Spread | None
    finish_reasons: dict[str, int]
    unjudged: int = 0
    groups: tuple[GroupResult, ...]
    latency: Latency


class Power(Result):
    """problems_needed: to tell the arms apart with power .8 at level .05, if their rates are those seen here.
    detectable: smallest difference that this comparison's problems show with that power.
    """

    problems_needed: int | None = None
    detectable: float | None = None
    reason: str | None = None


class PairResult(Result):
    """Two arms on the problems that both finished; differences are `arm` minus `other`.

    both, arm_only, other_only, neither: right; where scores are graded, alike and above 0, higher, lower,
    both 0. difference: of accuracies, with the score interval, or that of `bootstrap` where scores are
    graded. bootstrap: the same, from resampling problems. p: McNemar's exact test; where scores are graded,
    the paired permutation test. p_adjusted: corrected by Holm over the tests of its list, and `verdict` is
    by it.
    token_ratio, row_ratio: mean of `arm` by that of `other`; discarded tokens are included.
    """

    arm: str
    other: str
    problems: int
    both: int
    arm_only: int
    other_only: int
    neither: int
    difference: Estimate | None
    bootstrap: Estimate | None
    p: float | None
    p_adjusted: float | None
    verdict: PairVerdict | None
    token_ratio: Estimate | None
    row_ratio: Estimate | None
    power: Power


class ParetoPoint(Result):
    """An arm among all, on the problems that all finished.

    on_front: no other is at least as accurate and as cheap, and better in one of the two. front_share: how
    often that holds among the resamples. dominated_by: arms that are at least as good in both in 95% of them.
    """

    arm: str
    accuracy: float
    tokens: float
    on_front: bool
    front_share: float
    dominated_by: tuple[str, ...]


class ComparisonReport(Result):
    """All that a comparison measured so far; `finished` if that is everything.

    measure: what accuracy counts, null where no problem has an answer. problems: there are so many; common:
    so many are finished by all arms. against_baseline: every other arm, in their order. pairs: any two arms.
    """

    spec: ComparisonSpec
    measure: Measure | None
    baseline: str
    problems: int
    common: int
    finished: bool
    arms: tuple[ArmResult, ...]
    against_baseline: tuple[PairResult, ...]
    pairs: tuple[PairResult, ...]
    pareto: tuple[ParetoPoint, ...]
    resamples: int
    warnings: tuple[str, ...]

    def arm(self, name: str) -> ArmResult:
        """The arm of that name.

        Raises:
            KeyError: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)
