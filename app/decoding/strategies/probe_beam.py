"""Probe beam: beam search over steps, ranked by what probes say of them.

Step-level beam search (Xie et al., "Self-Evaluation Guided Beam Search", arXiv 2305.00633), with
probes on hidden states in the place of the model's judgement of itself, as in ReProbe (arXiv 2511.06209).

Every text of the beam is continued by one step `samples` times, as the request samples; the `width` texts
with the highest score stay, where

    score = sum over the probes, over the tokens where they are read, of log(1 - p)

so, for a probe of first mistakes, the log-probability that nothing is wrong so far. Of equals the earlier
stays, and of texts that are the same, one. Texts that have ended stay in the beam by their score and are
not continued; once all have, the best is the answer. Unlike the original it does not mix in the model's
own probabilities (sampling sees to these), and does not draw the survivors at random.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, step_written
from app.decoding.strategies.parts.values import DIGITS, STEP_ERROR, Probe, log_value


class ProbeBeam(Strategy):
    """Beam search over steps: of several continuations those stay in which probes find the least wrong."""

    kind: Literal["probe_beam"] = "probe_beam"
    probes: tuple[Probe, ...] = Field(
        default=(STEP_ERROR,),
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="Their scores are added up.",
    )
    width: int = Field(default=2, ge=1, le=32, description="Texts that are kept after every step.")
    samples: int = Field(default=2, ge=1, le=32, description="Continuations of each of them by one step.")
    step_ends: StepEnds = STEP_ENDS

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(self.probes)

    async def decode(self, sequence: Sequence) -> Sequence:
        beam = [sequence]
        while not all(text.finished for text in beam):
            found = [text for text in beam if text.finished]
            for text in beam:
                if not text.finished:
                    found += start_samples(text, self.samples)
            complete = step_written(self.step_ends)
            await gather(*(text.extend(until=complete) for text in found))
            beam = self._best(found)
            if len(beam) == 1:
                beam[0].commit()
        best = beam[0]
        if best.ledger.spent > best.position:
            best.record("beam_end", {"discarded": best.ledger.spent - best.position})
        return best

    def _best(self, found: list[Sequence]) -> list[Sequence]:
        """The `width` best texts, best first."""
        distinct = {tuple(token.id for token in text.tokens): text for text in reversed(found)}
        # The reversed order again: the first of the texts that are the same, and in the order of `found`.
        scored = [(log_value(text.tokens, self.probes), text) for text in reversed(distinct.values())]
        scored.sort(key=lambda each: -round(each[0], DIGITS))
        kept = [text for _, text in scored[: self.width]]
        if len(found) > 1:
            scores = {"best": scored[0][0], "worst": scored[-1][0]}
            counts = {"candidates": len(found), "distinct": len(scored), "kept": len(kept)}
            kept[0].record("beam", {**counts, **scores})
        return kept
