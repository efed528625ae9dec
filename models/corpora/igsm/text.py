"""A problem in words, as a list of phrases each of which the tokenizer keeps as one token.

The phrases joined without a separator are the text, so `tokenizer.encode("".join(phrases))` has exactly one
id per phrase (a test holds this), and training maps phrases to ids without running the tokenizer.
"""

from models.corpora.igsm.graph import CONSTANT, DIFFERENCE, MORE, SUM, TIMES, Definition, Problem
from models.corpora.igsm.spec import IgsmSpec

SENTENCE_END = ". "
ARE, MORE_THAN, TIMES_WORD, PLUS, MINUS = " are", " more than", " times", " plus", " minus"
EQUALS, ADD, MULTIPLY, SUBTRACT = " =", " +", " *", " -"
HOW_MANY, QUESTION_END, SOLUTION_START, ANSWER = "How many", "?", "\n", "Answer:"

PHRASES: tuple[str, ...] = (
    SENTENCE_END, ".", ARE, MORE_THAN, TIMES_WORD, PLUS, MINUS, EQUALS, ADD, MULTIPLY, SUBTRACT,
    HOW_MANY, QUESTION_END, SOLUTION_START, ANSWER,
)  # fmt: skip

_OPERATOR = {MORE: ADD, TIMES: MULTIPLY, SUM: ADD, DIFFERENCE: SUBTRACT}


def vocabulary(spec: IgsmSpec) -> tuple[str, ...]:
    """Every phrase that the corpus can contain, the end token excepted."""
    subjects = tuple(name.capitalize() for name in spec.names)
    operands = tuple(f" {name}" for name in spec.names)
    numbers = tuple(f" {number}" for number in range(spec.modulus))
    return PHRASES + numbers + subjects + operands


def problem_phrases(problem: Problem) -> list[str]:
    """Phrases of the problem: its sentences in text order, then the question."""
    phrases: list[str] = []
    for quantity in problem.text_order:
        _sentence(problem, quantity, phrases)
        phrases.append(SENTENCE_END)
    phrases += (HOW_MANY, f" {problem.names[problem.question]}", QUESTION_END)
    return phrases


def solution_phrases(problem: Problem) -> list[str]:
    """Phrases of the reference solution, from the line break before it to the answer; no end token."""
    phrases = [SOLUTION_START]
    for quantity in problem.solution_order:
        definition = problem.definitions[quantity]
        _sentence(problem, quantity, phrases)
        if definition.kind != CONSTANT:
            left, right = _numbers(problem, definition)
            operator = _OPERATOR[definition.kind]
            phrases += (EQUALS, left, operator, right, EQUALS, f" {problem.values[quantity]}")
        phrases.append(SENTENCE_END)
    phrases += (ANSWER, f" {problem.answer}")
    return phrases


def render_problem(problem: Problem) -> str:
    """The problem's text, which is the prompt: it ends in a question mark."""
    return "".join(problem_phrases(problem))


def render_solution(problem: Problem) -> str:
    """The reference solution's text, without the line break that stands before it."""
    return "".join(solution_phrases(problem)[1:])


def _sentence(problem: Problem, quantity: int, phrases: list[str]) -> None:
    names = problem.names
    kind, constant, operands = problem.definitions[quantity]
    subject = names[quantity].capitalize()
    if kind == CONSTANT:
        phrases += (subject, ARE, f" {constant}")
    elif kind == MORE:
        phrases += (subject, ARE, f" {constant}", MORE_THAN, f" {names[operands[0]]}")
    elif kind == TIMES:
        phrases += (subject, ARE, f" {constant}", TIMES_WORD, f" {names[operands[0]]}")
    else:
        joined = PLUS if kind == SUM else MINUS
        phrases += (subject, ARE, f" {names[operands[0]]}", joined, f" {names[operands[1]]}")


def _numbers(problem: Problem, definition: Definition) -> tuple[str, str]:
    kind, constant, operands = definition
    values = problem.values
    if kind in (MORE, TIMES):
        return f" {constant}", f" {values[operands[0]]}"
    return f" {values[operands[0]]}", f" {values[operands[1]]}"
