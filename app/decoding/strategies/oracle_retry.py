"""Oracle retry: what retries are worth when every mistake is noticed.

The ceiling of `retry_upon_regret`: the corpus checker in the place of the probe ("perfect detector" in
Figure 3 of arXiv 2408.16293).

It reads the problem from the prompt. A step is rejected unless the checker calls it correct, and the end
of the text unless the answer is there and right. For comparisons on problem sets only: who can check
every step needs no model.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.retry import Attempt, Check, Objection, Retry, write_checked
from app.decoding.strategies.parts.steps import STEP_ENDS
from app.errors import UnfitError
from models.corpora.igsm.check import check_parsed
from models.corpora.igsm.parse import MODULUS, ParsedProblem, ProblemSyntaxError, parse_problem


class OracleRetry(Strategy):
    """Takes back every step that the igsm checker finds wrong: the ceiling of `retry_upon_regret`."""

    told_the_truth = True

    kind: Literal["oracle_retry"] = "oracle_retry"
    modulus: int = Field(default=MODULUS, ge=3, le=99, description="That of the corpus' arithmetic.")
    retry: Retry = Retry()

    async def decode(self, sequence: Sequence) -> Sequence:
        try:
            problem = parse_problem(sequence.spec.prompt.strip(), self.modulus)
        except ProblemSyntaxError as error:
            raise UnfitError(
                f"oracle_retry needs an igsm problem as its prompt: {error}. Use it on the corpus' problems.",
                param="prompt",
            ) from error
        return await write_checked(sequence, STEP_ENDS, _checker(problem), self.retry, "oracle_retry")


def _checker(problem: ParsedProblem) -> Check:
    def wrong(sequence: Sequence, attempt: Attempt) -> Objection | None:
        if not attempt.complete:
            return None
        report = check_parsed(problem, sequence.text)
        if report.answer is not None:
            found = {"verdict": "answer", "expected": problem.answer, "found": report.answer}
            return None if report.answer_correct else Objection(1.0, found)
        if report.steps and report.steps[-1].verdict != "correct":
            last = report.steps[-1]
            return Objection(1.0, {"verdict": last.verdict, "reason": last.detail})
        if sequence.ending is not None and sequence.ending.reason == "stop":
            return Objection(1.0, {"verdict": "answer", "reason": "the text ends without an answer"})
        return None

    return wrong
