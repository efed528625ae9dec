"""Early answer: stop working and answer, once a signal says that no more is needed.

Exit at a probe's word (Zhang et al., "Reasoning Models Know When They're Right", arXiv 2504.05419, on
hidden states; DEER, arXiv 2504.15895, on the confidence of a trial answer).

Once at least `min_steps` steps are written, the first trigger that fires ends the work: the answer's
marker is forced and the model writes the rest. A step that is complete when it fires is kept; one that is
not is taken back. There is no trial answer, so all that an exit costs are the tokens taken back.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.sequence import Sequence
from app.decoding.core.span import Span
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.answers import ANSWER_MARKER, AnswerMarker
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, step_begin, step_written
from app.decoding.strategies.parts.trigger import Trigger
from app.renamed import Renamed


class EarlyAnswer(Strategy):
    """Lets the model answer at once when a probe, or any other signal, says that no more is needed."""

    renamed = (Renamed("marker", "answer_marker"),)

    kind: Literal["early_answer"] = "early_answer"
    triggers: tuple[Trigger, ...] = Field(
        default=(Trigger(signal="probe:unnecessary", threshold=0.5),),
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="Any of them ends the work. On the token that completes a step they let the step stand, "
        "before it they take it back.",
    )
    check: Literal["every_token", "step_end"] = Field(
        default="every_token",
        description="Where the triggers are looked at: on every token of a step, or on its last.",
    )
    min_steps: int = Field(default=1, ge=0, le=1024, description="Steps that are written in any case.")
    answer_marker: AnswerMarker = ANSWER_MARKER
    step_ends: StepEnds = STEP_ENDS

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(trigger.signal for trigger in self.triggers)

    async def decode(self, sequence: Sequence) -> Sequence:
        complete = step_written(self.step_ends)
        start = steps = 0
        while not (sequence.finished or self.answer_marker in sequence.span(start).text):
            await sequence.next()
            span = sequence.span(start)
            is_complete = complete(span)
            steps += is_complete
            found = self._fires(span, is_complete) if steps >= self.min_steps else None
            if found is not None and not sequence.finished:
                detail = {**found, "steps": steps}
                if is_complete:
                    sequence.record("early_answer", detail)
                else:
                    sequence.rewind(step_begin(span, self.step_ends), "early_answer", detail)
                await sequence.force(sequence.spec.encode(self.answer_marker), "early_answer_marker")
                break
            if is_complete:
                sequence.commit()
                start = sequence.position
        while not sequence.finished:
            sequence.commit()
            await sequence.next()
        return sequence

    def _fires(self, span: Span, is_complete: bool) -> dict[str, float | int | str] | None:
        """What the first trigger that fires on the newest token says, if this is a token to look at."""
        if self.check == "step_end" and not is_complete:
            return None
        for trigger in self.triggers:
            firing = trigger.first(span.tokens[-1:])
            if firing is not None:
                return trigger.detail(firing)
        return None
