"""docs/igsm.md says what the generator and the checker do."""

import re
from itertools import islice
from pathlib import Path
from typing import get_args

import pytest

from app.commands.checked import outcome
from models.corpora.igsm.check import Verdict, check_solution
from models.corpora.igsm.dataset import problems
from models.corpora.igsm.graph import Problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import render_problem, render_solution

DOCUMENT = (Path(__file__).parents[4] / "docs" / "igsm.md").read_text(encoding="utf-8")


def drawn() -> Problem:
    """The problem of the page, by the command that stands there."""
    option = dict(re.findall(r"--(op|distractors|seed|count) (\d+)", DOCUMENT))
    count = int(option["distractors"])
    spec = IgsmSpec(distractors_min=count, distractors_max=count)
    op = int(option["op"])
    stream = problems(spec, "test", int(option["seed"]), range(op, op + 1))
    (found,) = [each for each in islice(stream, int(option["count"])) if render_problem(each) in DOCUMENT]
    return found


PROBLEM, SOLUTION = render_problem(drawn()), render_solution(drawn())


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading; a step or a solution without its marks."""
    _, _, table = DOCUMENT.partition(f"| {heading} |\n")
    lines = table.partition("\n\n")[0].splitlines()[1:]
    assert lines
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_problem_and_its_solution_are_what_the_command_prints() -> None:
    assert f"```\n{PROBLEM}\n{SOLUTION}\n```" in DOCUMENT


@pytest.mark.parametrize(
    ("sentence", "step"), [row[1:] for row in rows("kind | in the problem | as a step of the solution")]
)
def test_a_step_of_each_kind_is_correct(sentence: str, step: str) -> None:
    values = {"oars": "Oars are 3.", "clocks": "Clocks are 10.", "spoons": "Spoons are 2."}
    operands = [text for name, text in values.items() if name in sentence.partition(" ")[2]]
    asked = sentence.partition(" ")[0].lower()
    problem = " ".join([*operands, sentence, f"How many {asked}?"])
    report = check_solution(problem, " ".join([*operands, step]))
    assert [each.verdict for each in report.steps] == ["correct"] * (len(operands) + 1)
    assert (report.missing, report.first_error) == ((), None)


@pytest.mark.parametrize(("steps", "verdict", "reason"), rows("steps | verdict | reason"))
def test_a_step_gets_the_verdict_and_the_reason_that_the_page_gives(
    steps: str, verdict: str, reason: str
) -> None:
    report = check_solution(PROBLEM, steps)
    assert (report.steps[-1].verdict, report.steps[-1].detail) == (verdict, reason)
    assert all(step.verdict == "correct" for step in report.steps[:-1])


def test_the_page_shows_every_verdict() -> None:
    shown = [verdict for _, verdict, _ in rows("steps | verdict | reason")]
    assert set(shown) == set(get_args(Verdict))
    precedence = [
        "syntax",
        "unknown",
        "repeated",
        "unnecessary",
        "not_ready",
        "formula",
        "arithmetic",
        "correct",
    ]
    assert sorted(shown, key=precedence.index) == shown


def test_a_wrong_value_that_is_carried_on_is_charged_once() -> None:
    given = rows("step | verdict")
    report = check_solution(PROBLEM, " ".join(step for step, _ in given) + " Answer: 4")
    assert [step.verdict for step in report.steps] == [verdict for _, verdict in given]
    assert (report.answer, report.answer_correct) == (4, False)


@pytest.mark.parametrize(("solution", "becomes", "missing"), rows("solution | outcome | missing"))
def test_a_solution_becomes_what_the_page_says(solution: str, becomes: str, missing: str) -> None:
    report = check_solution(PROBLEM, solution)
    assert (outcome(report), ", ".join(report.missing)) == (becomes, missing)


def test_the_rest_of_the_page_holds() -> None:
    cut = check_solution(PROBLEM, "Clocks are 10. Spoons are 8 ti")
    assert (cut.unfinished, len(cut.steps)) == ((15, 30), 1)
    after = check_solution(PROBLEM, f"{SOLUTION} Thank you.")
    assert [step.verdict for step in after.steps][-1] == "syntax"
    assert check_solution(PROBLEM, f"{SOLUTION}<|endoftext|> Thank you.").correct
    assert check_solution(PROBLEM, SOLUTION.replace(" ", "\n  ")).correct
    for other in (SOLUTION.lower(), SOLUTION.replace(". ", " "), SOLUTION.replace("3", "03")):
        assert not check_solution(PROBLEM, other).correct
    for broken in (
        "Oars are 11.",
        "Oars are 3. Oars are 3.",
        "Oars are 2 times kites.",
        "Oars are 2 times oars.",
        "",
    ):
        assert check_solution(f"{broken} How many oars?", "Oars are 3. Answer: 3").problem_error
    assert check_solution("Oars are 3.", "Oars are 3. Answer: 3").problem_error
    assert check_solution("Oars are 12. How many oars?", "Oars are 12. Answer: 12", modulus=13).correct
