"""reasoning-gym as problem sets. Its worker's rules are tested without it; the rest where it is installed."""

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest

from app.compare.problem_sets.gym import Gym, GymError, require_gym
from app.compare.problem_sets.gym_names import names_of_gym
from app.compare.problem_sets.gym_set import GymSet
from app.compare.problem_sets.gym_worker import is_expression, is_list
from app.compare.problem_sets.question_split import split_of_question
from app.compare.problem_sets.sources import GymProblems
from app.errors import ParameterError, UnfitError

INSTALLED = find_spec("reasoning_gym") is not None
needs_gym = pytest.mark.skipif(not INSTALLED, reason="the extra demur[problems] is not installed")


@pytest.fixture(scope="module")
def gym() -> Iterator[Gym]:
    """Begins when it is first asked."""
    with closing(Gym()) as asked:
        yield asked


def gym_set(gym: Gym, name: str = "chain_sum", seed: int = 0, **fields: Any) -> GymSet:
    source = GymProblems.model_validate({"source": "reasoning_gym", "name": name, "count": 8} | fields)
    return GymSet(source, seed, 300, gym)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "exec(chr(105))",
        "(1).__class__",
        "().x",
        "x.y",
        "open(1)",
        "[i for i in (1,)]",
        "lambda: 1",
        "'a'",
        "eval(x)",
        "S('x')",
    ],
)
def test_what_could_call_something_is_not_evaluated(text: str) -> None:
    assert not is_expression(text)
    assert not is_list(text) or "(" not in text


@pytest.mark.parametrize(
    "text", ["10*x**7 + 4*x**3/5 + C", "2*exp(4*x**2) - sin(x)", "15 - 4 + 95", "-1.5*x", "3/(8 - 2)"]
)
def test_formulas_are_evaluated(text: str) -> None:
    assert is_expression(text)


def test_lists_are_evaluated() -> None:
    assert is_list('["A", "B"]')
    assert is_list("[[0, 1], [1, 0]]")
    assert not is_list("[print(1)]")


@pytest.mark.skipif(INSTALLED, reason="reasoning-gym is installed")
def test_without_the_extra_it_is_said_how_to_have_it(gym: Gym) -> None:
    with pytest.raises(UnfitError, match=r"pip install 'demur\[problems\]'") as caught:
        require_gym()
    assert caught.value.param == "problems.source"
    with pytest.raises(UnfitError):
        gym_set(gym).draw()
    assert names_of_gym() == []


@needs_gym
def test_names_are_those_that_the_generators_have(gym: Gym) -> None:
    listed = [each["name"] for each in gym.ask({"do": "list"}, 60)["sets"]]
    assert listed == names_of_gym()
    assert len(listed) > 100


@needs_gym
def test_splits_share_no_problem_whatever_the_seed(gym: Gym) -> None:
    world = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    drawn = {
        (split, seed): {each.prompt for each in gym_set(gym, split=split, seed=seed, settings=world).draw()}
        for split in ("train", "validation", "test")
        for seed in (0, 1)
    }
    for (split, _), questions in drawn.items():
        assert len(questions) == 8
        assert {split_of_question(question) for question in questions} == {split}
    with pytest.raises(ParameterError, match="has only") as caught:
        gym_set(gym, count=500, settings=world).draw()
    assert caught.value.param == "problems.count"


@needs_gym
def test_a_smaller_set_begins_a_larger_one_and_answers_are_right(gym: Gym) -> None:
    few, more = gym_set(gym, count=4), gym_set(gym, count=9, examples=2)
    drawn = more.draw()
    assert few.draw() == drawn[:4]
    assert all(split_of_question(each.prompt) == "train" for each in more.examples())
    for problem in drawn:
        assert problem.answer is not None
        assert more.judge(problem, f" {problem.answer}\n").score == 1
        assert more.judge(problem, "a zebra").score == 0
    more.close()
    assert more.judge(drawn[0], str(drawn[0].answer)).score == 1, "it begins again"


@needs_gym
@pytest.mark.parametrize(
    ("name", "settings", "param"),
    [
        ("nope", {}, "problems.name"),
        ("acre", {}, "problems.name"),
        ("chain_sum", {"terms": 2}, "problems.settings.terms"),
        ("chain_sum", {"min_terms": "2"}, "problems.settings.min_terms"),
        ("chain_sum", {"min_terms": True}, "problems.settings.min_terms"),
        ("chain_sum", {"min_terms": 9, "max_terms": 3}, "problems.settings"),
        ("spell_backward", {"data_file": "/etc/passwd"}, "problems.settings.data_file"),
        ("figlet_font", {"static_word": "x"}, "problems.settings.static_word"),
        ("basic_arithmetic", {"operators": ["+", "__import__"]}, "problems.settings.operators"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(
    gym: Gym, name: str, settings: dict[str, Any], param: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        gym_set(gym, name, settings=settings).draw()
    assert caught.value.param == param


@needs_gym
def test_an_answer_that_never_ends_is_wrong_and_said(gym: Gym) -> None:
    asked = gym_set(gym, "countdown", count=1, reading={"rule": "exact"})
    [problem] = asked.draw()
    verdict = asked.judge(problem, "__import__('os').system('true')")
    assert (verdict.score, verdict.correct) == (0, False)
    assert "may be evaluated" in (verdict.judge_error or "")
    with pytest.raises(GymError, match="took longer"):
        gym.ask({"do": "score", "set": asked._set, "index": 0, "answer": "9**9**9**9"}, 1)  # pyright: ignore[reportPrivateUsage]
    assert asked.judge(problem, str(problem.answer)).score == 1, "the next is asked of a new process"
