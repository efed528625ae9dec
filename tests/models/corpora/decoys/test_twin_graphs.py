"""What is needed, and what is a decoy, against a solver that only tries sentences until nothing is new."""

import re

import pytest

from models.corpora.corpus import DrawnProblem
from models.corpora.decoys.decoys import Decoys
from models.corpora.drawing import draw_set

DECOYS = Decoys()
OPERATORS = {"more than": "+", "times": "*", "plus": "+", "minus": "-"}


def solved(sentences: list[str], modulus: int) -> dict[str, int]:
    """Values of all quantities that the sentences tell, by trying each until nothing is new."""
    values: dict[str, int] = {}
    while True:
        before = len(values)
        for sentence in sentences:
            name, _, expression = sentence.lower().partition(" are ")
            if set(re.findall("[a-z]+", expression)) <= {*values, "more", "than", "times", "plus", "minus"}:
                for words, operator in OPERATORS.items():
                    expression = expression.replace(words, operator)
                values[name] = eval(expression, {}, values) % modulus
        if len(values) == before:
            return values


def taken_apart(problem: DrawnProblem) -> tuple[list[str], str]:
    """The sentences and the quantity that is asked for."""
    *sentences, question = problem.prompt.split(". ")
    return sentences, question.removeprefix("How many ").removesuffix("?")


def name_of(sentence: str) -> str:
    return sentence.split(" are ")[0].lower()


@pytest.mark.parametrize("op", range(1, 9))
def test_a_solver_that_knows_nothing_agrees_on_answers_and_on_what_is_needed(op: int) -> None:
    for problem in draw_set(DECOYS, "train", op, 400, seed=5):
        sentences, asked = taken_apart(problem)
        assert len(sentences) == 2 * op + 1
        values = solved(sentences, 11)
        assert values[asked] == problem.answer == DECOYS.parse(problem.prompt).answer
        needed = {
            name_of(sentence)
            for sentence in sentences
            if asked not in solved([other for other in sentences if other != sentence], 11)
        }
        quantities = DECOYS.graph(problem.prompt).quantities
        assert {each.name for each in quantities if each.needed} == needed
        assert {each.name: each.value for each in quantities} == values
        steps = problem.solution.split(". ")[:-1]
        assert [name_of(step) for step in steps] == [
            subject.removeprefix("\n").lower() for subject in subjects(problem)
        ]
        assert {name_of(step) for step in steps} == needed
        assert len(steps) == len(needed) == op


def subjects(problem: DrawnProblem) -> list[str]:
    return re.findall(r"([A-Z][a-z]+) are", problem.solution)
