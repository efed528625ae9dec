"""Random retry: what retries are worth when nobody knows which step is wrong.

The control for `retry_upon_regret`: the same retries, with a coin in the place of the probe.

Every attempt at a step is rejected with probability p, so a step takes p + p^2 + ... retries on average,
as far as the budgets allow. All attempts are equally good: `keep_best` keeps the first.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.retry import Attempt, Objection, Retry, write_checked
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds


class RandomRetry(Strategy):
    """Takes steps back at random and tries again: the control for `retry_upon_regret`."""

    kind: Literal["random_retry"] = "random_retry"
    probability: float = Field(
        default=0.1, ge=0, le=1, description="With which each attempt at a step is rejected."
    )
    step_ends: StepEnds = STEP_ENDS
    retry: Retry = Retry()

    async def decode(self, sequence: Sequence) -> Sequence:
        return await write_checked(sequence, self.step_ends, self._toss, self.retry, "random_retry")

    def _toss(self, sequence: Sequence, attempt: Attempt) -> Objection | None:
        if not attempt.complete:
            return None
        coin = sequence.coin("reject")
        if coin >= self.probability:
            return None
        return Objection(1.0, {"coin": coin, "probability": self.probability})
