import json
import re
from dataclasses import asdict

import pytest

from models.corpora.igsm.check import Verdict, check_solution

PROBLEM = (
    "Boats are 3 times kites. Oars are boats minus pens. Kites are 7. Drums are 4 more than kites. "
    "Hats are drums plus oars. Pens are 2 more than kites. How many oars?"
)
KITES, BOATS, PENS, OARS = (
    "Kites are 7.",
    "Boats are 3 times kites = 3 * 7 = 10.",
    "Pens are 2 more than kites = 2 + 7 = 9.",
    "Oars are boats minus pens = 10 - 9 = 1.",
)
DRUMS = "Drums are 4 more than kites = 4 + 7 = 0."
HATS = "Hats are drums plus oars = 0 + 1 = 1."


def verdicts(*steps: str, problem: str = PROBLEM) -> list[str]:
    return [step.verdict for step in check_solution(problem, " ".join(steps)).steps]


def test_correct_solution_in_either_order() -> None:
    for steps in ((KITES, BOATS, PENS, OARS), (KITES, PENS, BOATS, OARS)):
        report = check_solution(PROBLEM, " ".join((*steps, "Answer: 1")))
        assert report.correct
        assert report.answer_correct
        assert (report.answer, report.expected, report.missing, report.first_error) == (1, 1, (), None)
        assert [step.verdict for step in report.steps] == ["correct"] * 4


@pytest.mark.parametrize(
    ("steps", "verdict", "detail"),
    [
        ((KITES, "Lamps are 3."), "unknown", "does not define lamps"),
        ((KITES, KITES), "repeated", "kites are already known to be 7"),
        ((KITES, DRUMS), "unnecessary", "oars do not depend on drums"),
        ((KITES, "Drums are 9."), "unnecessary", "oars do not depend on drums"),
        ((BOATS,), "not_ready", "boats depend on kites"),
        ((KITES, PENS, OARS), "not_ready", "oars depend on boats"),
        (("Kites are 8.",), "formula", "kites are 7"),
        (("Kites are 2 times boats = 2 * 3 = 6.",), "formula", "kites are 7"),
        ((KITES, "Boats are 10."), "formula", "boats are 3 times kites"),
        ((KITES, "Boats are 4 times kites = 4 * 7 = 6."), "formula", "boats are 3 times kites"),
        ((KITES, "Boats are 3 more than kites = 3 + 7 = 10."), "formula", "boats are 3 times kites"),
        ((KITES, "Boats are 3 times lamps = 3 * 7 = 10."), "formula", "boats are 3 times kites"),
        ((KITES, "Pens are 2 times kites = 2 + 7 = 9."), "formula", "pens are 2 more than kites"),
        ((KITES, BOATS, PENS, "Oars are pens minus boats = 9 - 10 = 10."), "formula", "boats minus pens"),
        ((KITES, BOATS, PENS, "Oars are boats plus pens = 10 - 9 = 1."), "formula", "boats minus pens"),
        (
            (KITES, "Boats are 3 times kites = 3 * 7 = 21."),
            "arithmetic",
            r"^3 \* 7 is 21, which is 10 modulo 11, not 21$",
        ),
        ((KITES, "Boats are 3 times kites = 7 * 3 = 10."), "arithmetic", "= 3 \\* 7 = 10"),
        (
            (KITES, BOATS, PENS, "Oars are boats minus pens = 10 - 9 = 10."),
            "arithmetic",
            "^10 - 9 is 1, not 10$",
        ),
        (
            (KITES, "Boats are 3 times kites = 3 * 8 = 2."),
            "arithmetic",
            r"^an earlier step says that kites are 7, not 8; it should go on with = 3 \* 7 = 10$",
        ),
        (
            (KITES, "Boats are 3 times kites = 4 * 7 = 10."),
            "arithmetic",
            r"^the problem's number is 3, not 4; it should go on with = 3 \* 7 = 10$",
        ),
        (
            (KITES, "Boats are 3 times kites = 3 + 7 = 10."),
            "arithmetic",
            r"^times is \*, not \+; it should go on with = 3 \* 7 = 10$",
        ),
        (
            (KITES, BOATS, PENS, "Oars are boats minus pens = 9 - 9 = 1."),
            "arithmetic",
            "^an earlier step says that boats are 10, not 9;",
        ),
        ((KITES, "Boats are 3 times kites."), "syntax", "cannot be read"),
    ],
)
def test_each_kind_of_mistake(steps: tuple[str, ...], verdict: Verdict, detail: str) -> None:
    text = " ".join(steps)
    report = check_solution(PROBLEM, text)
    assert [step.verdict for step in report.steps] == ["correct"] * (len(steps) - 1) + [verdict]
    assert report.first_error == len(steps) - 1
    assert not report.correct
    last = report.steps[-1]
    assert text[last.start : last.end] == steps[-1]
    assert re.search(detail, last.detail)


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ((KITES, "Lamps are 3 time kites."), "syntax"),  # before unknown
        ((KITES, "Lamps are 1.", "Lamps are 1."), "unknown"),  # before repeated
        ((KITES, DRUMS, DRUMS), "repeated"),  # before unnecessary
        ((HATS,), "unnecessary"),  # before not_ready
        (("Boats are 4 times kites = 4 * 7 = 6.",), "not_ready"),  # before formula
        ((KITES, "Boats are 4 times kites = 4 * 9 = 6."), "formula"),  # before arithmetic
    ],
)
def test_precedence_of_verdicts(steps: tuple[str, ...], verdict: Verdict) -> None:
    assert verdicts(*steps)[-1] == verdict


def test_the_reason_says_what_the_result_is_and_why() -> None:
    steps = "Masks are 7. Magnets are 10 times masks = 10 * 7 = 5."
    report = check_solution("Masks are 7. Magnets are 10 times masks. How many magnets?", steps)
    assert report.steps[1].detail == "10 * 7 is 70, which is 4 modulo 11, not 5"
    steps = "Masks are 3. Nets are 7. Pens are masks minus nets = 3 - 7 = 4."
    report = check_solution("Masks are 3. Nets are 7. Pens are masks minus nets. How many pens?", steps)
    assert report.steps[2].detail == "3 - 7 is -4, which is 7 modulo 11, not 4"
    steps = "Masks are 3. Nets are 4 more than masks = 4 + 3 = 7."
    report = check_solution("Masks are 3. Nets are 4 more than masks. How many nets?", steps, modulus=5)
    assert report.steps[1].detail == "4 + 3 is 7, which is 2 modulo 5, not 7"


def test_slip_of_arithmetic_is_charged_once() -> None:
    slip = "Boats are 3 times kites = 3 * 7 = 9."
    report = check_solution(PROBLEM, " ".join((KITES, slip, PENS, "Oars are boats minus pens = 9 - 9 = 0.")))
    assert [step.verdict for step in report.steps] == ["correct", "arithmetic", "correct", "correct"]
    # The true value of boats is not what this solution says they are.
    assert verdicts(KITES, slip, PENS, OARS)[-1] == "arithmetic"
    report = check_solution(
        PROBLEM, f"{KITES} {slip} {PENS} Oars are boats minus pens = 9 - 9 = 0. Answer: 0"
    )
    assert (report.answer, report.answer_correct, report.first_error) == (0, False, 1)


def test_wrong_step_still_defines_its_quantity_unless_unreadable() -> None:
    wrong_constant = ("Kites are 8.", "Boats are 3 times kites = 3 * 8 = 2.")
    assert verdicts(*wrong_constant) == ["formula", "correct"]
    too_early = (
        "Boats are 3 times kites = 3 * 5 = 4.",
        KITES,
        PENS,
        "Oars are boats minus pens = 4 - 9 = 6.",
    )
    assert verdicts(*too_early) == ["not_ready", "correct", "correct", "correct"]
    assert verdicts("Kites are 7 .", "Kites be 7.", BOATS) == ["correct", "syntax", "correct"]
    assert verdicts("Kites be 7.", BOATS) == ["syntax", "not_ready"]


def test_of_repeated_definitions_the_first_counts() -> None:
    assert verdicts(KITES, "Kites are 8.", BOATS) == ["correct", "repeated", "correct"]


def test_right_answer_does_not_excuse_missing_steps() -> None:
    report = check_solution(PROBLEM, f"{KITES} {BOATS} Answer: 1")
    assert (report.answer_correct, report.first_error, report.correct) == (True, None, False)
    assert report.missing == ("oars", "pens")


def test_missing_answer_is_reported() -> None:
    report = check_solution(PROBLEM, f"{KITES} {BOATS} {PENS} {OARS}")
    assert (report.answer, report.answer_correct, report.first_error) == (None, False, None)
    assert not report.correct


def test_text_after_the_answer_is_wrong_but_the_answer_stands() -> None:
    report = check_solution(PROBLEM, f"{KITES} {BOATS} {PENS} {OARS} Answer: 1 {DRUMS}")
    assert report.answer_correct
    assert report.first_error == 4
    assert not report.correct


def test_malformed_problem_is_reported_not_raised() -> None:
    report = check_solution("Kites are 7. How many oars?", f"{KITES} Answer: 7")
    assert report.problem_error is not None
    assert "oars are used but not defined" in report.problem_error
    assert (report.steps, report.expected, report.correct) == ((), None, False)


def test_modulus_is_a_parameter() -> None:
    steps = "Kites are 7. Boats are 3 times kites = 3 * 7 = 8. Answer: 8"
    text = "Boats are 3 times kites. Kites are 7. How many boats?"
    assert check_solution(text, steps, modulus=13).correct
    assert not check_solution(text, steps).correct


def test_report_is_plain_data() -> None:
    report = check_solution(PROBLEM, f"{KITES} {OARS} Ans")
    assert json.loads(json.dumps(asdict(report)))["steps"][1] == {
        "start": 13,
        "end": 52,
        "subject": "oars",
        "verdict": "not_ready",
        "detail": "oars depend on boats, which are not known yet",
    }
