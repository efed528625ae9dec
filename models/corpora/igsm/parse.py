"""Reads igsm texts: the definitions and the question of a problem, the steps and the answer of a solution.

It shares nothing with the generator but the language itself, which `models.corpora.igsm.grammar` lays down.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from models.corpora.corpus import ProblemSyntaxError
from models.corpora.igsm.grammar import (
    ANSWER,
    ParsedDefinition,
    Sentence,
    could_go_on,
    is_noun,
    read_sentence,
    read_step,
)

MODULUS = 11

_END_OF_TEXT = "<|endoftext|>"
_ANSWER_PATTERN = re.compile(rf"{ANSWER}\s*(0|[1-9][0-9]{{0,8}})(?![^\s.])\s*\.?")


@dataclass(frozen=True, slots=True)
class ParsedProblem:
    """A problem and what follows from it; quantities go by their noun in lower case.

    `definitions` is in text order; `values` has every quantity, modulo `modulus`; `needed` are the quantities
    on which the question depends, itself included.
    """

    definitions: Mapping[str, ParsedDefinition]
    question: str
    modulus: int
    values: Mapping[str, int]
    needed: frozenset[str]

    @property
    def op(self) -> int:
        """Number of quantities that the answer needs."""
        return len(self.needed)

    @property
    def answer(self) -> int:
        """Value of the quantity that is asked for."""
        return self.values[self.question]


@dataclass(frozen=True, slots=True)
class ParsedStep:
    """A step at characters `start` to `end` (exclusive) of the text; no sentence where it cannot be read."""

    start: int
    end: int
    sentence: Sentence | None


@dataclass(frozen=True, slots=True)
class ParsedSolution:
    """Steps and answer as written.

    `unfinished` is the span of a last step or answer that breaks off but could go on to be well-formed.
    """

    steps: tuple[ParsedStep, ...]
    answer: int | None
    unfinished: tuple[int, int] | None


def parse_problem(text: str, modulus: int = MODULUS) -> ParsedProblem:
    """Read a problem.

    Raises:
        ProblemSyntaxError: the text does not follow the grammar, a constant is not in 0 .. modulus - 1, a
            quantity is defined twice or not at all, or definitions go in a circle.
    """
    body, mark, after = text.partition("?")
    *sentences, question = body.split(".")
    match question.split():
        case ["How", "many", noun] if mark and is_noun(noun) and not after.strip():
            pass
        case _:
            raise ProblemSyntaxError(
                f"the text ends in {_quote(text[len(text) - len(question) - len(mark + after) :])}; "
                "a problem must end with a question such as `How many boats?`"
            )
    definitions: dict[str, ParsedDefinition] = {}
    for sentence in sentences:
        subject, definition = _problem_sentence(sentence, modulus)
        if subject in definitions:
            raise ProblemSyntaxError(f"{subject} are defined twice; define every quantity once")
        definitions[subject] = definition
    used = {operand for definition in definitions.values() for operand in definition.operands}
    for name in sorted(used | {noun}):
        if name not in definitions:
            raise ProblemSyntaxError(f"{name} are used but not defined; add a sentence that defines them")
    return ParsedProblem(
        definitions, noun, modulus, _evaluate(definitions, modulus), _needed(definitions, noun)
    )


def parse_solution(text: str) -> ParsedSolution:
    """Read the steps and the answer of a solution; any text gives a result.

    A step ends with a full stop. White space around steps is skipped, and so is everything from a
    `<|endoftext|>` on. What follows an answer is one step that cannot be read.
    """
    text = text.partition(_END_OF_TEXT)[0]
    steps: list[ParsedStep] = []
    start = _skip_space(text, 0)
    while not text.startswith(ANSWER, start) and (stop := text.find(".", start)) >= 0:
        steps.append(ParsedStep(start, stop + 1, read_step(text[start:stop].split())))
        start = _skip_space(text, stop + 1)
    answer = _ANSWER_PATTERN.match(text, start)
    if answer is not None:
        start = _skip_space(text, answer.end())
    end = len(text.rstrip())
    unfinished = None
    if start < end and answer is None and could_go_on(text[start:end].split()):
        unfinished = (start, end)
    elif start < end:
        steps.append(ParsedStep(start, end, None))
    return ParsedSolution(tuple(steps), None if answer is None else int(answer[1]), unfinished)


def evaluate(definition: ParsedDefinition, values: Mapping[str, int], modulus: int) -> int:
    """Value of a quantity modulo `modulus`, given the values of its operands."""
    numbers = [values[operand] for operand in definition.operands]
    match definition.kind:
        case "constant":
            return definition.constant % modulus
        case "more":
            return (definition.constant + numbers[0]) % modulus
        case "times":
            return definition.constant * numbers[0] % modulus
        case "sum":
            return (numbers[0] + numbers[1]) % modulus
        case "difference":
            return (numbers[0] - numbers[1]) % modulus


def _problem_sentence(text: str, modulus: int) -> tuple[str, ParsedDefinition]:
    read = read_sentence(text.split())
    if read is None or read[2]:
        raise ProblemSyntaxError(
            f"cannot read the sentence {_quote(text)}; write `Kites are 7.`, `Boats are 3 more than kites.`, "
            "`Boats are 3 times kites.`, `Boats are kites plus oars.` or `Boats are kites minus oars.`"
        )
    subject, definition, _ = read
    if not 0 <= definition.constant < modulus:
        raise ProblemSyntaxError(
            f"the number {definition.constant} in {_quote(text)} must be between 0 and {modulus - 1}"
        )
    return subject, definition


def _evaluate(definitions: Mapping[str, ParsedDefinition], modulus: int) -> dict[str, int]:
    """Values of all quantities, each computed once the last of its operands is (Kahn's algorithm)."""
    users: dict[str, list[str]] = {name: [] for name in definitions}
    missing: dict[str, int] = {}
    ready: list[str] = []
    for name, definition in definitions.items():
        missing[name] = len(definition.operands)
        for operand in definition.operands:
            users[operand].append(name)
        if not definition.operands:
            ready.append(name)
    values: dict[str, int] = {}
    while ready:
        name = ready.pop()
        values[name] = evaluate(definitions[name], values, modulus)
        for user in users[name]:
            missing[user] -= 1
            if missing[user] == 0:
                ready.append(user)
    if len(values) < len(definitions):
        circle = ", ".join(name for name in definitions if name not in values)
        raise ProblemSyntaxError(f"definitions go in a circle: {circle}; let one of them be a number")
    return values


def _needed(definitions: Mapping[str, ParsedDefinition], question: str) -> frozenset[str]:
    needed = {question}
    waiting = [question]
    while waiting:
        for operand in definitions[waiting.pop()].operands:
            if operand not in needed:
                needed.add(operand)
                waiting.append(operand)
    return frozenset(needed)


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _quote(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
