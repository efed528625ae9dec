"""What a sample of problems looks like: sizes in tokens, and how far guessing the commonest answer gets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.corpora.corpus import Answer, DrawnProblem


@dataclass(frozen=True)
class Statistics:
    """Statistics of a sample of problems. A phrase of the text is one token; a document is the problem and
    its solution with the end token.

    `sentences` are those of the problem before its question. `majority_share` is the share of problems whose
    answer is `majority_answer`, the commonest in this sample.
    """

    problems: int
    templates: int
    sentences: float
    problem_tokens: float
    solution_tokens: float
    longest_document: int
    majority_answer: Answer
    majority_share: float


def describe(sample: Sequence[DrawnProblem], sentence_end: str) -> Statistics:
    """Statistics of a non-empty sample; `sentence_end` is the phrase that closes a sentence."""
    problem_tokens = [len(problem.problem_phrases) for problem in sample]
    solution_tokens = [len(problem.solution_phrases) + 1 for problem in sample]
    answer, count = Counter(problem.answer for problem in sample).most_common(1)[0]
    return Statistics(
        problems=len(sample),
        templates=len({problem.template for problem in sample}),
        sentences=sum(problem.problem_phrases.count(sentence_end) for problem in sample) / len(sample),
        problem_tokens=sum(problem_tokens) / len(sample),
        solution_tokens=sum(solution_tokens) / len(sample),
        longest_document=max(map(sum, zip(problem_tokens, solution_tokens, strict=True))),
        majority_answer=answer,
        majority_share=count / len(sample),
    )


def answer_shares(sample: Sequence[DrawnProblem], answers: Sequence[Answer]) -> list[float]:
    """Share of each of the answers in a non-empty sample."""
    counts = Counter(problem.answer for problem in sample)
    return [counts[answer] / len(sample) for answer in answers]
