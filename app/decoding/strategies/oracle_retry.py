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
from app.errors import UnfitError
from models.corpora.corpus import CORRECT, Checker, Corpus, ProblemSyntaxError
from models.corpora.registry import DEFAULT, corpus_named

_MODULUS = 11


class OracleRetry(Strategy):
    """Takes back every step that the corpus' checker finds wrong: the ceiling of `retry_upon_regret`."""

    told_the_truth = True

    kind: Literal["oracle_retry"] = "oracle_retry"
    modulus: int = Field(default=_MODULUS, ge=3, le=99, description="That of the corpus' arithmetic.")
    retry: Retry = Retry()

    async def decode(self, sequence: Sequence) -> Sequence:
        corpus = self._corpus(sequence.spec.corpus)
        try:
            checker = corpus.parse(sequence.spec.prompt.strip())
        except ProblemSyntaxError as error:
            raise UnfitError(
                f"oracle_retry needs a problem of {corpus.name} as its prompt: {error}. Use it on problems "
                "of the corpus.",
                param="prompt",
            ) from error
        return await write_checked(
            sequence, corpus.layout.step_ends, _checker(checker), self.retry, "oracle_retry"
        )

    def _corpus(self, known: Corpus | None) -> Corpus:
        """The model's own, or the usual one for a model whose card names none; with another modulus if that
        is asked for."""
        if known is not None and self.modulus == _MODULUS:
            return known
        name, settings = (known.name, known.settings.model_dump()) if known is not None else (DEFAULT, {})
        return corpus_named(name, settings | {"modulus": self.modulus})


def _checker(checker: Checker) -> Check:
    def wrong(sequence: Sequence, attempt: Attempt) -> Objection | None:
        if not attempt.complete:
            return None
        report = checker.judge(sequence.text)
        if report.answer is not None:
            found = {"verdict": "answer", "expected": checker.answer, "found": report.answer}
            return None if report.answer_correct else Objection(1.0, found)
        if report.steps and report.steps[-1].verdict != CORRECT:
            last = report.steps[-1]
            return Objection(1.0, {"verdict": last.verdict, "reason": last.detail})
        if sequence.ending is not None and sequence.ending.reason == "stop":
            return Objection(1.0, {"verdict": "answer", "reason": "the text ends without an answer"})
        return None

    return wrong
