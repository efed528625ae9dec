"""Accuracy on problems: whole solutions, decoded greedily, judged step by step by the corpus checker."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from models.complete import complete
from models.corpora.igsm.check import check_solution
from models.corpora.igsm.dataset import draw_in_split
from models.corpora.igsm.graph import Problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.split import Split
from models.corpora.igsm.text import render_problem
from models.language_model import Cache, LanguageModel
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class OpResult:
    """Outcome on the problems of one op.

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


def draw_set(spec: IgsmSpec, split: Split, op: int, count: int, seed: int) -> list[Problem]:
    """The first `count` problems of one op; a larger set begins with the smaller one."""
    random = Random(f"evaluate/{split}/{op}/{seed}")
    return [draw_in_split(random, spec, split, op) for _ in range(count)]


def evaluate(
    model: LanguageModel[Cache],
    tokenizer: Tokenizer,
    problems: Sequence[Problem],
    modulus: int,
    batch_size: int = 128,
    on_batch: Callable[[int], None] = lambda _: None,
) -> OpResult:
    """Solve problems of one op greedily and judge the solutions.

    Args:
        problems: at least one; all of the same op.
        on_batch: called with the number of problems that were just finished.
    """
    solved = answered = 0
    errors: Counter[str] = Counter()
    for start in range(0, len(problems), batch_size):
        chunk = problems[start : start + batch_size]
        prompts = [render_problem(problem) for problem in chunk]
        for prompt, solution in zip(prompts, solve_greedily(model, tokenizer, prompts), strict=True):
            report = check_solution(prompt, solution, modulus)
            solved += report.correct
            answered += report.answer_correct
            if not report.correct:
                wrong = [step.verdict for step in report.steps if step.verdict != "correct"]
                errors[wrong[0] if wrong else "incomplete"] += 1
        on_batch(len(chunk))
    answers = Counter(problem.answer for problem in problems)
    return OpResult(
        op=problems[0].op,
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
