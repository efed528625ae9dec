"""The problems of a comparison, and verdicts on texts."""

from dataclasses import replace

import pytest

from app.compare.problems import problem_set_of
from app.errors import ParameterError
from models.checkpoint import LoadedCheckpoint
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_of
from tests.app.compare.running import given, make_spec


def test_problems_are_those_that_evaluate_draws(checkpoint: LoadedCheckpoint) -> None:
    problems = problem_set_of(make_spec(count=7, ops=(2, 4), seed=3), checkpoint).draw()
    by_id = {problem.id: problem for problem in problems}
    assert [problem.id for problem in problems] == ["2/0", "3/0", "4/0", "2/1", "3/1", "4/1", "2/2"]
    corpus = corpus_of(checkpoint.card)
    assert corpus is not None
    for index, drawn in enumerate(draw_set(corpus, "validation", 3, 2, seed=3)):
        problem = by_id[f"3/{index}"]
        assert problem.prompt == drawn.prompt + "\n"
        assert (problem.group, problem.answer) == ("op 3", str(drawn.answer))


def test_a_smaller_set_is_a_part_of_a_larger_one_with_the_same_seeds(checkpoint: LoadedCheckpoint) -> None:
    larger = {problem.id: problem for problem in problem_set_of(make_spec(count=11), checkpoint).draw()}
    for count in range(3, 11):
        smaller = problem_set_of(make_spec(count=count), checkpoint).draw()
        assert len(smaller) == count
        assert all(larger[problem.id] == problem for problem in smaller)


def test_no_two_problems_of_any_two_seeds_share_their_random_numbers(checkpoint: LoadedCheckpoint) -> None:
    drawn = [problem_set_of(make_spec(count=9, seed=seed), checkpoint).draw() for seed in (0, 1, 2**32 - 1)]
    seeds = [problem.seed for problems in drawn for problem in problems]
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**63


def test_given_problems_keep_their_order(checkpoint: LoadedCheckpoint) -> None:
    spec = make_spec(**given([{"prompt": "a", "answer": " 1"}, {"prompt": "b", "id": "last"}]), seed=2)
    first, last = problem_set_of(spec, checkpoint).draw()
    assert (first.id, first.group, first.prompt, first.answer) == ("0", None, "a", " 1")
    assert (last.id, last.answer) == ("last", None)
    assert last.seed == first.seed + 1


def test_problems_that_cannot_be_drawn_are_named(checkpoint: LoadedCheckpoint) -> None:
    with pytest.raises(ParameterError, match=r"op is 58; it must be between 1 and 57") as caught:
        problem_set_of(make_spec(ops=(57, 58), count=2), checkpoint).draw()
    assert caught.value.param == "problems.ops"
    foreign = replace(checkpoint, card={})
    with pytest.raises(ParameterError, match="no igsm corpus") as caught:
        problem_set_of(make_spec(), foreign)
    assert caught.value.param == "problems.source"
    assert len(problem_set_of(make_spec(**given([{"prompt": "a"}])), foreign).draw()) == 1


def test_the_corpus_checker_judges_steps_and_answer(checkpoint: LoadedCheckpoint) -> None:
    spec = make_spec(count=3)
    judge = problem_set_of(spec, checkpoint).judge
    corpus = corpus_of(checkpoint.card)
    assert corpus is not None
    [drawn] = draw_set(corpus, "validation", 4, 1, seed=0)
    problem = next(each for each in problem_set_of(spec, checkpoint).draw() if each.id == "4/0")
    solution = drawn.solution
    right = judge(problem, solution)
    assert (right.correct, right.solved, right.first_error) == (True, True, None)
    assert right.answer == problem.answer
    steps, answer = solution.rsplit("Answer:", 1)
    guessed = judge(problem, f"Answer:{answer}")
    assert (guessed.correct, guessed.solved) == (True, False)
    spoilt = judge(problem, f"Stars are 1. {steps}Answer:{answer}")
    assert (spoilt.correct, spoilt.solved, spoilt.first_error) == (True, False, 0)
    nothing = judge(problem, "")
    assert (nothing.answer, nothing.correct, nothing.solved) == (None, False, False)


def test_given_answers_are_compared_as_they_are_read(checkpoint: LoadedCheckpoint) -> None:
    reading = {"rule": "marker", "answer_marker": "####"}
    spec = make_spec(**given([{"prompt": "a", "answer": "7"}, {"prompt": "b"}], reading=reading))
    judge = problem_set_of(spec, checkpoint).judge
    with_answer, without = problem_set_of(spec, checkpoint).draw()
    assert judge(with_answer, "so #### 7").correct is True
    assert judge(with_answer, "so #### 8").correct is False
    assert judge(with_answer, "so 7").answer is None
    verdict = judge(without, "so #### 7")
    assert (verdict.answer, verdict.correct, verdict.solved) == (None, None, None)
