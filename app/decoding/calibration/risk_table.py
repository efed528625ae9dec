"""How often a model's answers are wrong where its doubt is at most so high: a section of the calibration."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.decoding.calibration.doubt import DoubtName
from app.decoding.calibration.risk import Counts

_RECORD = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RiskCounts(BaseModel):
    """One score of doubt: an ascending grid of thresholds, and the counts at each.

    The grid and the order of tests come from the tuning problems, the guarantee from the tested ones.
    """

    model_config = _RECORD

    thresholds: tuple[float, ...] = Field(min_length=1)
    tuning: Counts
    tested: Counts

    @model_validator(mode="after")
    def _check(self) -> "RiskCounts":
        if any(low >= high for low, high in zip(self.thresholds, self.thresholds[1:], strict=False)):
            raise ValueError("thresholds must ascend")
        for counts in (self.tuning, self.tested):
            if not len(counts.answered) == len(counts.wrong) == len(self.thresholds):
                raise ValueError("there must be as many counts as thresholds")
            pairs = zip(counts.wrong, counts.answered, strict=True)
            if any(not 0 <= wrong <= answered <= counts.problems for wrong, answered in pairs):
                raise ValueError("counts must be 0 <= wrong <= answered <= problems")
        return self


class RiskTable(BaseModel):
    """Counts by score of doubt, of greedy answers to problems of one split, each problem drawn on its own.

    An answer is wrong unless the corpus checker finds the number right, whatever its steps; of a user's
    problems (split `given`, without ops), unless it is the one that came with the problem.

    max_tokens, stop: how the answers were ended, besides by the model itself.
    """

    model_config = _RECORD

    split: str
    op_min: int | None = None
    op_max: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int
    scores: Mapping[DoubtName, RiskCounts]
