"""Accuracy on problems: whole solutions, decoded greedily, judged step by step by the corpus checker."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch

from models.corpora.igsm.check import check_solution
from models.corpora.igsm.dataset import draw_in_split
from models.corpora.igsm.graph import Problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.split import Split
from models.corpora.igsm.text import render_problem
from models.language_model import Cache, LanguageModel, PrefillRow
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
    end, context = model.spec.end_token_id, model.spec.context_length
    prompt_ids = [tuple(tokenizer.encode(prompt)) for prompt in prompts]
    cache = model.new_cache(len(prompts), context)
    rows = [PrefillRow(slot, 0, ids) for slot, ids in enumerate(prompt_ids)]
    token_ids = model.prefill(cache, rows).logits.argmax(dim=-1)
    slots = torch.arange(len(prompts), device=token_ids.device)
    positions = torch.tensor([len(ids) for ids in prompt_ids], device=token_ids.device)
    written: list[list[int]] = [[] for _ in prompts]
    while True:
        # Rows that have ended leave the batch; `slots` says which problem each remaining row belongs to.
        for slot, token_id in zip(slots.tolist(), token_ids.tolist(), strict=True):
            written[slot].append(token_id)
        going = positions < context
        if end is not None:
            going &= token_ids != end
        if not bool(going.any()):
            break
        token_ids, slots, positions = token_ids[going], slots[going], positions[going]
        token_ids = model.step(cache, token_ids, slots, positions).logits.argmax(dim=-1)
        positions = positions + 1
    return [tokenizer.decode(list(_before(ids, end))) for ids in written]


def _before(token_ids: Sequence[int], end: int | None) -> Iterator[int]:
    for token_id in token_ids:
        if token_id == end:
            return
        yield token_id
