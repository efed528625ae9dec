"""Judges a solution of an igsm problem step by step.

A step gets the first verdict that applies, in this order:

    syntax       it cannot be read
    unknown      the problem does not define its quantity
    repeated     an earlier step defined it already
    unnecessary  the answer does not need it
    not_ready    an operand of it, in the problem, is not yet defined by an earlier step
    formula      the restated sentence is not the problem's: its kind, constant or an operand differs
    arithmetic   the numbers put in, the operator or the result are wrong; all results are modulo the corpus's
                 modulus, from 0 to one less than it
    correct      none of these

The second to fifth are about the choice of the quantity, so they are decided by the step's first word.

Every step is judged by what stands before it, mistakes included. A step that can be read defines its
quantity, whatever its verdict, with the value that it states; one that cannot be read defines nothing, and of
repeated definitions the first counts. The numbers put in must be the constant of the problem and the values
that the solution itself has stated, and the result must follow from these. So a slip of arithmetic is charged
once: later steps that carry its result on are correct, though the answer is then wrong, as it is compared
with the true value.
"""

from collections.abc import Callable, Mapping
from operator import add, mul, sub
from typing import Literal

from models.corpora.corpus import ProblemSyntaxError, Report, StepReport
from models.corpora.igsm.grammar import Equation, Kind, ParsedDefinition, Sentence
from models.corpora.igsm.parse import (
    MODULUS,
    ParsedProblem,
    ParsedStep,
    evaluate,
    parse_problem,
    parse_solution,
)

Verdict = Literal[
    "correct", "syntax", "unknown", "repeated", "unnecessary", "not_ready", "formula", "arithmetic"
]

_OPERATOR: Mapping[Kind, str] = {"more": "+", "times": "*", "sum": "+", "difference": "-"}
_WORD: Mapping[Kind, str] = {"more": "more than", "times": "times", "sum": "plus", "difference": "minus"}
_COMPUTE: Mapping[str, Callable[[int, int], int]] = {"+": add, "*": mul, "-": sub}


def check_solution(problem_text: str, solution_text: str, modulus: int = MODULUS) -> Report:
    """Judge a solution, whole or cut off anywhere; any two texts give a report."""
    try:
        problem = parse_problem(problem_text, modulus)
    except ProblemSyntaxError as error:
        return Report((), None, None, (), None, problem_error=str(error))
    return check_parsed(problem, solution_text)


def check_parsed(problem: ParsedProblem, solution_text: str) -> Report:
    """As `check_solution`, for many solutions of one problem."""
    solution = parse_solution(solution_text)
    steps, stated = _judge_all(problem, solution.steps)
    return Report(
        steps=steps,
        answer=solution.answer,
        expected=problem.answer,
        missing=tuple(name for name in problem.definitions if name in problem.needed and name not in stated),
        unfinished=solution.unfinished,
    )


def check_steps(problem: ParsedProblem, solution_so_far: str) -> tuple[StepReport, ...]:
    """Verdicts on the steps that are complete so far, for use while a solution is being written.

    They stay as they are when more is written. A last step that is not complete is left out as long as it
    can go on to be one, and else is `syntax`.
    """
    return _judge_all(problem, parse_solution(solution_so_far).steps)[0]


def _judge_all(
    problem: ParsedProblem, steps: tuple[ParsedStep, ...]
) -> tuple[tuple[StepReport, ...], Mapping[str, int]]:
    """Verdicts, and the values stated by the steps."""
    stated: dict[str, int] = {}
    reports: list[StepReport] = []
    for step in steps:
        sentence = step.sentence
        if sentence is None:
            reports.append(StepReport(step.start, step.end, None, "syntax", "this cannot be read as a step"))
            continue
        verdict, detail = _judge(problem, stated, sentence)
        reports.append(StepReport(step.start, step.end, sentence.subject, verdict, detail))
        equation = sentence.equation
        stated.setdefault(
            sentence.subject, sentence.definition.constant if equation is None else equation.result
        )
    return tuple(reports), stated


def _judge(problem: ParsedProblem, stated: Mapping[str, int], sentence: Sentence) -> tuple[Verdict, str]:
    subject = sentence.subject
    definition = problem.definitions.get(subject)
    if definition is None:
        return "unknown", f"the problem does not define {subject}"
    if subject in stated:
        return "repeated", f"{subject} are already known to be {stated[subject]}"
    if subject not in problem.needed:
        return "unnecessary", f"{problem.question} do not depend on {subject}"
    for operand in definition.operands:
        if operand not in stated:
            return "not_ready", f"{subject} depend on {operand}, which are not known yet"
    if sentence.definition != definition:
        return "formula", f"the problem says that {subject} are {_in_words(definition)}"
    return _judge_numbers(problem, stated, sentence)


def _judge_numbers(
    problem: ParsedProblem, stated: Mapping[str, int], sentence: Sentence
) -> tuple[Verdict, str]:
    definition, equation = sentence.definition, sentence.equation
    if equation is None:
        return "correct", ""
    left = definition.constant if len(definition.operands) == 1 else stated[definition.operands[0]]
    right = stated[definition.operands[-1]]
    operator = _OPERATOR[definition.kind]
    result = evaluate(definition, stated, problem.modulus)
    if (equation.left, equation.operator, equation.right) != (left, operator, right):
        wrong = _wrong_input(definition, equation, left, operator, right)
        return "arithmetic", f"{wrong}; it should go on with = {left} {operator} {right} = {result}"
    if equation.result != result:
        exact = _COMPUTE[operator](left, right)
        reduced = "" if exact == result else f", which is {result} modulo {problem.modulus}"
        return "arithmetic", f"{left} {operator} {right} is {exact}{reduced}, not {equation.result}"
    return "correct", ""


def _wrong_input(
    definition: ParsedDefinition, equation: Equation, left: int, operator: str, right: int
) -> str:
    """What is wrong with what an equation computes from; its three parts are given as they should be."""
    said = [f"an earlier step says that {operand} are" for operand in definition.operands]
    left_said = said[0] if len(said) == 2 else "the problem's number is"
    if equation.left != left:
        return f"{left_said} {left}, not {equation.left}"
    if equation.right != right:
        return f"{said[-1]} {right}, not {equation.right}"
    return f"{_WORD[definition.kind]} is {operator}, not {equation.operator}"


def _in_words(definition: ParsedDefinition) -> str:
    match definition.kind:
        case "constant":
            return f"{definition.constant}"
        case "more":
            return f"{definition.constant} more than {definition.operands[0]}"
        case "times":
            return f"{definition.constant} times {definition.operands[0]}"
        case "sum":
            return " plus ".join(definition.operands)
        case "difference":
            return " minus ".join(definition.operands)
