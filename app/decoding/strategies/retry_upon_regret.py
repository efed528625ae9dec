"""Retry upon regret: go back to where a step began when a probe says that it went wrong.

Ye, Xu, Li & Allen-Zhu, "Physics of Language Models: Part 2.2" (arXiv 2408.16293), section 3.

There, after each sentence a probe says whether the model may go on; if not, the sentence is taken back
and written anew by multinomial sampling, at most 10 times in a solution. Here beside that: any signal may
be watched, several at once (the first that fires counts); a step may be taken back as soon as one fires
inside it, which rejects the same attempts and saves the tokens behind it; retries are bounded per step
too, so that one hopeless step does not use up the answer's; what was rejected may be made less likely,
as a peaked distribution repeats it; and when no retry is left, the attempt that exceeded a threshold by
the least is kept, not the last.
"""

from math import inf
from typing import Literal

from pydantic import Field

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.retry import Attempt, Objection, Retry, write_checked
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds
from app.decoding.strategies.parts.trigger import Trigger


class RetryUponRegret(Strategy):
    """Takes a step back and tries again when a probe, or any other signal, says that it went wrong."""

    kind: Literal["retry_upon_regret"] = "retry_upon_regret"
    triggers: tuple[Trigger, ...] = Field(
        default=(Trigger(signal="probe:step_error", threshold=0.3),),
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="A step is taken back when any of them fires.",
    )
    again: tuple[Trigger, ...] = Field(
        default=(),
        max_length=16,
        fail_fast=True,
        description="What retries are judged by instead; if there are none, by the same triggers. When the "
        "best attempt is kept, the first one too is judged by these.",
    )
    granularity: Literal["step", "token"] = Field(
        default="step", description="What is taken back: the step from its beginning, or the one token."
    )
    check: Literal["every_token", "step_end"] = Field(
        default="every_token",
        description="When the triggers are looked at: after every token, so that a step that is regretted is "
        "not written to its end, or once the step is complete.",
    )
    step_ends: StepEnds = STEP_ENDS
    retry: Retry = Retry()

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(trigger.signal for trigger in (*self.triggers, *self.again))

    async def decode(self, sequence: Sequence) -> Sequence:
        ends = self.step_ends if self.granularity == "step" else ()
        return await write_checked(sequence, ends, self._regret, self.retry, "regret")

    def _regret(self, _sequence: Sequence, attempt: Attempt) -> Objection | None:
        """The first trigger that fires in the step; of several on one token, the most exceeded one."""
        written = attempt.span.tokens
        looked_at = {"every_token": written[-1:], "step_end": written if attempt.complete else ()}
        tokens = looked_at[self.check]
        triggers = self.again if attempt.rejected and self.again else self.triggers
        found = [
            (firing.index, -trigger.excess(firing.value), trigger.detail(firing))
            for trigger in triggers
            if (firing := trigger.first(tokens)) is not None
        ]
        if not found:
            return None
        _, excess, detail = min(found, key=lambda each: each[:2])
        if self.again and not attempt.rejected:
            # Retries are judged by other triggers, so these say how it compares with them.
            return Objection(self._excess_of_again(tokens), detail)
        return Objection(-excess, detail)

    def _excess_of_again(self, tokens: tuple[Token, ...]) -> float:
        """By how much the triggers of retries are exceeded at most; infinite where they see nothing."""
        values = [
            trigger.excess(token.signals[trigger.signal])
            for trigger in self.again
            for token in tokens
            if trigger.signal in token.signals
        ]
        return max(values, default=inf)
