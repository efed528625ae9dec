"""Accuracy on problems: whole solutions, decoded greedily, judged step by step by the corpus checker."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.complete import complete
from models.corpora.corpus import Corpus, DrawnProblem, judge
from models.language_model import Cache, LanguageModel
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class OpResult:
    """Outcome on the problems of one op, as sizes are called here.

    Attributes:
        solved: whole solution correct, in every step and in the answer.
        answered: final answer right, whatever the steps.
        majority: right answers of a guesser that always says the commonest answer of these very problems.
        first_errors: verdict of the first wrong step to its count; `incomplete` where no step is wrong but
            the solution is not whole.
    """

    op: int
    problems: int
    solved: int
    answered: int
    majority: int
    first_errors: dict[str, int]


def evaluate(
    model: LanguageModel[Cache],
    tokenizer: Tokenizer,
    corpus: Corpus,
    problems: Sequence[DrawnProblem],
    batch_size: int = 128,
    on_batch: Callable[[int], None] = lambda _: None,
) -> OpResult:
    """Solve problems of one size greedily and judge the solutions.

    Args:
        problems: at least one; all of the same size.
        on_batch: called with the number of problems that were just finished.
    """
    solved = answered = 0
    errors: Counter[str] = Counter()
    for start in range(0, len(problems), batch_size):
        chunk = problems[start : start + batch_size]
        prompts = [problem.prompt for problem in chunk]
        for prompt, solution in zip(prompts, solve_greedily(model, tokenizer, prompts), strict=True):
            report = judge(corpus, prompt, solution)
            solved += report.correct
            answered += report.answer_correct
            if not report.correct:
                first = report.first_error
                errors["incomplete" if first is None else report.steps[first].verdict] += 1
        on_batch(len(chunk))
    answers = Counter(problem.answer for problem in problems)
    return OpResult(
        op=problems[0].size,
        problems=len(problems),
        solved=solved,
        answered=answered,
        majority=answers.most_common(1)[0][1],
        first_errors=dict(errors.most_common()),
    )


def solve_greedily(model: LanguageModel[Cache], tokenizer: Tokenizer, prompts: Sequence[str]) -> list[str]:
    """The model's greedy continuation of each prompt, up to its end token or the end of the context."""
    written = complete(model, [tokenizer.encode_prompt(prompt) for prompt in prompts])
    return [tokenizer.decode(model.spec.without_end(ids)) for ids in written]
