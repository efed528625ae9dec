"""Needed quantities and decoys, against a solver that knows nothing but sentences, and against each other."""

import re
from collections import Counter
from random import Random

import pytest

from models.corpora.corpus import DrawnProblem, judge
from models.corpora.decoys.decoys import Decoys, DecoysSettings
from models.corpora.decoys.twin_graphs import put_together
from models.corpora.drawing import draw_set
from models.corpora.igsm.graph import Problem, draw_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.splits import SPLITS
from models.errors import SpecError

DECOYS = Decoys()
SPEC = IgsmSpec()
OPERATORS = {"more than": "+", "times": "*", "plus": "+", "minus": "-"}
OPS = range(1, 9)


def solved(sentences: list[str]) -> dict[str, int]:
    """Values of all quantities that the sentences tell, by trying each until nothing is new."""
    values: dict[str, int] = {}
    while True:
        before = len(values)
        for sentence in sentences:
            name, _, expression = sentence.lower().partition(" are ")
            if set(re.findall("[a-z]+", expression)) <= {*values, "more", "than", "times", "plus", "minus"}:
                for words, operator in OPERATORS.items():
                    expression = expression.replace(words, operator)
                values[name] = eval(expression, {}, values) % 11
        if len(values) == before:
            return values


def names_of(sentences: list[str]) -> list[str]:
    return [sentence.split(" are ")[0].lower() for sentence in sentences]


def taken_apart(problem: DrawnProblem) -> tuple[list[str], list[str], str]:
    """The sentences, the steps and the quantity that is asked for."""
    *sentences, question = problem.prompt.split(". ")
    *steps, _ = problem.solution.split(". ")
    return sentences, steps, question.removeprefix("How many ").removesuffix("?")


@pytest.mark.parametrize("op", OPS)
def test_a_solver_that_knows_nothing_agrees_on_values_and_on_what_is_needed(op: int) -> None:
    for problem in draw_set(DECOYS, "train", op, 30, seed=5):
        compare_with_solver(problem, op)


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_the_solver_agrees_on_thousands(op: int) -> None:
    for split in SPLITS:
        for problem in draw_set(DECOYS, split, op, 500, seed=6):
            compare_with_solver(problem, op)


def compare_with_solver(problem: DrawnProblem, op: int) -> None:
    sentences, steps, asked = taken_apart(problem)
    values = solved(sentences)
    assert values[asked] == problem.answer == DECOYS.parse(problem.prompt).answer
    # A quantity is needed if the question has no answer without the sentence that defines it.
    needed = {
        name
        for index, name in enumerate(names_of(sentences))
        if asked not in solved(sentences[:index] + sentences[index + 1 :])
    }
    quantities = DECOYS.graph(problem.prompt).quantities
    assert {each.name: each.value for each in quantities} == values
    assert {each.name for each in quantities if each.needed} == needed
    assert len(quantities) == 2 * op + 1
    assert len(steps) == len(needed) == op
    assert set(names_of(steps)) == needed
    assert judge(DECOYS, problem.prompt, problem.solution).correct


@pytest.mark.parametrize("op", OPS)
def test_a_step_of_any_decoy_is_unnecessary_wherever_it_stands(op: int) -> None:
    random = Random(op)
    for problem in draw_set(DECOYS, "test", op, 10, seed=0):
        graph = DECOYS.graph(problem.prompt)
        _, steps, _ = taken_apart(problem)
        for decoy in (each for each in graph.quantities if not each.needed):
            place = random.randrange(len(steps) + 1)
            added = [*steps[:place], f"{decoy.name.capitalize()} are {decoy.value}", *steps[place:]]
            report = judge(DECOYS, problem.prompt, ". ".join((*added, f"Answer: {problem.answer}")))
            assert report.first_error == place
            assert report.steps[place].verdict == "unnecessary"
            assert not report.correct


def drawn(op: int, count: int) -> list[Problem]:
    random = Random(f"twins/{op}")
    return [
        put_together(random, SPEC, *(draw_problem(random, SPEC, op, 0) for _ in range(2)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("op", OPS)
def test_only_the_sink_is_never_mentioned_and_only_decoys_lead_to_it(op: int) -> None:
    for problem in drawn(op, 200):
        used = [operand for each in problem.definitions for operand in each.operands]
        mentioned = {*used, problem.question}
        sink = 2 * op
        assert set(range(2 * op + 1)) - mentioned == {sink}
        assert all(operand < op for each in problem.definitions[:op] for operand in each.operands)
        below = {sink}
        for quantity in range(sink, -1, -1):
            if quantity in below:
                below.update(problem.definitions[quantity].operands)
        assert set(range(op, sink)) < below


@pytest.mark.parametrize("op", [2, 4, 7])
def test_mentions_and_kinds_are_as_frequent_on_either_side(op: int) -> None:
    sides: list[Counter[tuple[int, int]]] = [Counter(), Counter()]
    crossing = 0
    for problem in drawn(op, 2000):
        used = Counter(operand for each in problem.definitions for operand in each.operands)
        used[problem.question] += 1
        for quantity in range(2 * op):
            sides[quantity >= op][problem.definitions[quantity].kind, used[quantity]] += 1
        crossing += any(operand < op for each in problem.definitions[op:] for operand in each.operands)
    for key in sides[0] | sides[1]:
        assert sides[0][key] == pytest.approx(sides[1][key], abs=5 * (sides[0][key] + 30) ** 0.5)
    assert crossing == pytest.approx(1000, abs=112)  # five standard deviations


def test_splits_share_no_template() -> None:
    for op in (1, 3, 5):
        templates = {
            split: {problem.template for problem in draw_set(DECOYS, split, op, 40, 1)} for split in SPLITS
        }
        assert sum(map(len, templates.values())) == len(set[str]().union(*templates.values()))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"modulus": 2}, "modulus is 2; it must be between 3 and 99"),
        ({"nouns": 16}, r"op_max \+ ood_extra = 8 needed quantities, as many decoys .* than 16 nouns"),
        ({"op_min": 5}, "op_min is 5; it must be between 1 and 4"),
        ({"ood_extra": 21}, "ood_extra is 21"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, int], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        DecoysSettings(**settings)
    with pytest.raises(SpecError, match="op is 30; it must be between 1 and 29"):
        DECOYS.draw(Random(0), "train", 30)
