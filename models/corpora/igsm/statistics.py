"""What a sample of problems looks like: sizes in tokens, and how far guessing the commonest answer gets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.corpora.igsm.graph import Problem
from models.corpora.igsm.split import template
from models.corpora.igsm.text import problem_phrases, solution_phrases


@dataclass(frozen=True)
class Statistics:
    """Statistics of a sample of problems. A phrase of the text is one token; a document is the problem and
    its solution with the end token.

    `majority_share` is the share of problems whose answer is `majority_answer`, the commonest in this sample.
    """

    problems: int
    templates: int
    sentences: float
    problem_tokens: float
    solution_tokens: float
    longest_document: int
    majority_answer: int
    majority_share: float


def describe(sample: Sequence[Problem]) -> Statistics:
    """Statistics of a non-empty sample."""
    problem_tokens = [len(problem_phrases(problem)) for problem in sample]
    solution_tokens = [len(solution_phrases(problem)) + 1 for problem in sample]
    answer, count = Counter(problem.answer for problem in sample).most_common(1)[0]
    return Statistics(
        problems=len(sample),
        templates=len({template(problem) for problem in sample}),
        sentences=sum(len(problem.names) for problem in sample) / len(sample),
        problem_tokens=sum(problem_tokens) / len(sample),
        solution_tokens=sum(solution_tokens) / len(sample),
        longest_document=max(map(sum, zip(problem_tokens, solution_tokens, strict=True))),
        majority_answer=answer,
        majority_share=count / len(sample),
    )


def answer_shares(sample: Sequence[Problem], modulus: int) -> list[float]:
    """Share of each answer 0 .. modulus - 1 in a non-empty sample."""
    counts = Counter(problem.answer for problem in sample)
    return [counts[answer] / len(sample) for answer in range(modulus)]
