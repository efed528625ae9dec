"""The language of igsm texts, read sentence by sentence. Words are separated by any white space:

    problem  = { sentence "." } "How many" noun "?"
    sentence = subject "are" number
             | subject "are" number "more than" noun
             | subject "are" number "times" noun
             | subject "are" noun "plus" noun
             | subject "are" noun "minus" noun
    solution = { step "." } "Answer:" number [ "." ]
    step     = a sentence of the first kind
             | a sentence of another kind "=" number operator number "=" number

A noun is a word of lower-case ASCII letters other than the fixed words above; a subject is a noun with its
first letter capitalised. A number has one to nine digits and no leading zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["constant", "more", "times", "sum", "difference"]
ANSWER = "Answer:"

_FIXED_WORDS = frozenset(("are", "more", "than", "times", "plus", "minus"))
_OPERATORS = frozenset("+*-")
_EQUATION = "= NUMBER OPERATOR NUMBER = NUMBER"
_SHAPES = tuple(
    shape.split()
    for shape in (
        "SUBJECT are NUMBER",
        f"SUBJECT are NUMBER more than NOUN {_EQUATION}",
        f"SUBJECT are NUMBER times NOUN {_EQUATION}",
        f"SUBJECT are NOUN plus NOUN {_EQUATION}",
        f"SUBJECT are NOUN minus NOUN {_EQUATION}",
        f"{ANSWER} NUMBER",
    )
)
"""What a step or an answer looks like, word by word, to tell an unfinished one from an unreadable one."""


@dataclass(frozen=True, slots=True)
class ParsedDefinition:
    """How a quantity is defined. `constant` is 0 where the kind has none; operands in the order written."""

    kind: Kind
    constant: int
    operands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equation:
    """The numbers that a step puts in, as written: left operator right = result."""

    left: int
    operator: str
    right: int
    result: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A step that can be read; a step has an equation unless its kind is `constant`."""

    subject: str
    definition: ParsedDefinition
    equation: Equation | None


def read_step(words: Sequence[str]) -> Sentence | None:
    """The step that the words, full stop excluded, make up, or None where they do not."""
    read = read_sentence(words)
    if read is None:
        return None
    subject, definition, rest = read
    match rest:
        case [] if definition.kind == "constant":
            return Sentence(subject, definition, None)
        case ["=", left, operator, right, "=", result] if definition.kind != "constant":
            if operator in _OPERATORS and all(map(_is_number, (left, right, result))):
                return Sentence(subject, definition, Equation(int(left), operator, int(right), int(result)))
        case _:
            pass
    return None


def read_sentence(words: Sequence[str]) -> tuple[str, ParsedDefinition, Sequence[str]] | None:
    """Subject, definition and the words left over, or None where the words do not begin with a sentence."""
    match words:
        case [subject, "are", number, "more", "than", operand, *rest]:
            definition = _define("more", number, operand)
        case [subject, "are", number, "times", operand, *rest]:
            definition = _define("times", number, operand)
        case [subject, "are", left, "plus", right, *rest]:
            definition = _define("sum", "0", left, right)
        case [subject, "are", left, "minus", right, *rest]:
            definition = _define("difference", "0", left, right)
        case [subject, "are", number, *rest]:
            definition = _define("constant", number)
        case _:
            return None
    if definition is None or not _is_subject(subject):
        return None
    return subject.lower(), definition, rest


def _define(kind: Kind, constant: str, *operands: str) -> ParsedDefinition | None:
    if _is_number(constant) and all(map(is_noun, operands)):
        return ParsedDefinition(kind, int(constant), operands)
    return None


def is_noun(word: str) -> bool:
    """Whether the word can name a quantity."""
    return word.isascii() and word.isalpha() and word.islower() and word not in _FIXED_WORDS


def _is_subject(word: str) -> bool:
    return word.isascii() and is_noun(word.lower()) and word == word.capitalize()


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and (word[0] != "0" or word == "0") and len(word) <= 9


def could_go_on(words: Sequence[str]) -> bool:
    """Whether the words begin a step or an answer; the last of them may be cut anywhere."""
    *whole, cut = words
    return any(
        len(words) <= len(shape) and _begins(cut, shape[len(whole)]) and all(map(_fits, whole, shape))
        for shape in _SHAPES
    )


def _fits(word: str, part: str) -> bool:
    match part:
        case "SUBJECT":
            return _is_subject(word)
        case "NOUN":
            return is_noun(word)
        case "NUMBER":
            return _is_number(word)
        case "OPERATOR":
            return word in _OPERATORS
        case _:
            return word == part


def _begins(word: str, part: str) -> bool:
    match part:
        case "SUBJECT" | "NOUN":
            return _fits(f"{word}x", part)  # any letters begin a noun, those of a fixed word too
        case "NUMBER" | "OPERATOR":
            return _fits(word, part)
        case _:
            return part.startswith(word)
