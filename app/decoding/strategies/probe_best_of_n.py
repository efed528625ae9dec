"""Best of n by a probe: write n answers, keep the one in which it finds the least wrong.

Best-of-n reranking (Cobbe et al., "Training Verifiers to Solve Math Word Problems", arXiv 2110.14168)
with a probe on hidden states as the verifier, as in LiLaVe (arXiv 2504.16760) and ReProbe (2511.06209).

An answer's score is the aggregate of 1 - p over the tokens where the probe is read; the highest wins, of
equals the earliest. Answers in which it is read nowhere come last. The answers are drawn as the request
samples, so at temperature 0 they are all the same.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.values import (
    DIGITS,
    STEP_ERROR,
    Probe,
    StepAggregate,
    aggregate,
    read_values,
)
from app.renamed import Renamed


class ProbeBestOfN(Strategy):
    """Writes n answers and keeps the one in which a probe finds the least wrong."""

    renamed = (Renamed("n", "samples"),)

    kind: Literal["probe_best_of_n"] = "probe_best_of_n"
    probe: Probe = STEP_ERROR
    samples: int = Field(default=4, ge=1, le=128, description="Answers to choose from.")
    aggregate: StepAggregate = Field(
        default="product",
        description="How an answer's readings of 1 - p become its score: the lowest, the average, the last, "
        "or their product, the probability that no step is wrong.",
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.probe})

    async def decode(self, sequence: Sequence) -> Sequence:
        answers = start_samples(sequence, self.samples)
        await gather(*(_write(answer, commit=len(answers) == 1) for answer in answers))
        scores = [aggregate(read_values(answer.tokens, self.probe), self.aggregate) for answer in answers]
        ranked = [-1.0 if score is None else round(score, DIGITS) for score in scores]
        best = max(range(len(answers)), key=ranked.__getitem__)
        lost = sum(answer.position for answer in answers) - answers[best].position
        if self.samples > 1:
            answers[best].record(
                "best_of_n",
                {
                    "kept": best + 1,
                    "of": self.samples,
                    "score": ranked[best],
                    "worst": min(ranked),
                    "discarded": lost,
                },
            )
        return answers[best]


async def _write(answer: Sequence, commit: bool) -> None:
    while not answer.finished:
        await answer.next()
        if commit:
            answer.commit()
