"""Best of n by a probe: write n answers, keep the one in which it finds the least wrong."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import PARAMS_CONFIG
from app.decoding.strategies.parts.branches import start_samples
from app.decoding.strategies.parts.values import DIGITS, STEP_ERROR, Aggregate, Probe, aggregate, read_values


@dataclass(frozen=True)
class ProbeBestOfN:
    """Best-of-n reranking (Cobbe et al., "Training Verifiers to Solve Math Word Problems", arXiv 2110.14168)
    with a probe on hidden states as the verifier, as in LiLaVe (arXiv 2504.16760) and ReProbe (2511.06209).

    An answer's score is the aggregate of 1 - p over the tokens where the probe is read; the highest wins, of
    equals the earliest. Answers in which it is read nowhere come last. The answers are drawn as the request
    samples, so at temperature 0 they are all the same.
    """

    probe: str
    n: int
    aggregate: Aggregate

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.probe})

    async def decode(self, sequence: Sequence) -> Sequence:
        answers = start_samples(sequence, self.n)
        await gather(*(_write(answer, commit=len(answers) == 1) for answer in answers))
        scores = [aggregate(read_values(answer.tokens, self.probe), self.aggregate) for answer in answers]
        ranked = [-1.0 if score is None else round(score, DIGITS) for score in scores]
        best = max(range(len(answers)), key=ranked.__getitem__)
        lost = sum(answer.position for answer in answers) - answers[best].position
        if self.n > 1:
            answers[best].record(
                "best_of_n",
                {
                    "kept": best + 1,
                    "of": self.n,
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


class ProbeBestOfNParams(BaseModel):
    """Writes n answers and keeps the one in which a probe finds the least wrong."""

    model_config = PARAMS_CONFIG

    kind: Literal["probe_best_of_n"] = "probe_best_of_n"
    probe: Probe = STEP_ERROR
    n: int = Field(default=4, ge=1, le=128, description="Answers to choose from.")
    aggregate: Aggregate = Field(
        default="product",
        description="How an answer's readings of 1 - p become its score: the lowest, the average, the last, "
        "or their product, the probability that no step is wrong.",
    )

    def build(self) -> ProbeBestOfN:
        return ProbeBestOfN(self.probe, self.n, self.aggregate)
