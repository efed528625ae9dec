"""When an answer is right: as text, number, choice, set, by a pattern, or as a command of one's own says."""

from fractions import Fraction
from typing import Annotated, Literal, Self

import regex
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.compare.answers import SEARCH_SECONDS, is_right
from app.invalid import Listed, refusal
from app.measure.numbers import number_in
from app.patterns import require_pattern

_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
_AROUND = " \t\r\n()[]{}*_`\"'.,:;"
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_Label = Annotated[str, Field(min_length=1, max_length=256)]


class SameText(BaseModel):
    """The answer is right if it is the expected text, white space around either left out."""

    model_config = _CONFIG

    kind: Literal["text"] = "text"
    ignore_case: bool = Field(default=False, description="Whether capitals and small letters are the same.")

    def score(self, found: str, expected: str) -> float:
        """1 or 0."""
        if self.ignore_case:
            found, expected = found.casefold(), expected.casefold()
        return float(is_right(found, expected))

    def require(self, expected: str) -> None:
        """Any text will do."""


class SameNumber(BaseModel):
    """The answer is right if the last number in it is near enough to the expected one."""

    model_config = _CONFIG

    kind: Literal["number"]
    tolerance: float = Field(default=0.0, ge=0, description="How far off it may be. Default: 0.")
    relative_tolerance: float = Field(
        default=1e-9, ge=0, le=1, description="How far off it may be, as a part of the expected number."
    )

    def score(self, found: str, expected: str) -> float:
        """1 or 0; a text without a number is wrong."""
        number, right = number_in(found), number_in(expected)
        if number is None or right is None:
            return 0.0
        # As they were written: the float 0.3 is a little less than 0.3, and 1.3 is 0.3 off 1.
        absolute, relative = Fraction(str(self.tolerance)), Fraction(str(self.relative_tolerance))
        return float(abs(number - right) <= max(absolute, relative * abs(right)))

    def require(self, expected: str) -> None:
        """Raise `ValueError` unless there is a number in it."""
        if number_in(expected) is None:
            raise ValueError("holds no number")


class SameChoice(BaseModel):
    """The answer is right if it begins with the label of the expected choice: `B`, `(b)` or `B. Paris`."""

    model_config = _CONFIG

    kind: Literal["choice"]
    choices: Listed[_Label] = Field(
        default=["A", "B", "C", "D"],
        min_length=2,
        max_length=100,
        description="The labels that an answer may have; capitals do not count.",
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for label, plain in zip(self.choices, self._labels, strict=True):
            if not plain or self._labels.count(plain) > 1:
                raise refusal(
                    "choices",
                    f"choices has {label!r}, which {'is like another' if plain else 'is empty'} but for "
                    "capitals, white space, brackets and punctuation around it; give labels that differ",
                )
        return self

    def score(self, found: str, expected: str) -> float:
        """1 or 0; a text that begins with no label is wrong."""
        chosen = self._chosen(found)
        return float(chosen is not None and chosen == self._chosen(expected))

    def require(self, expected: str) -> None:
        """Raise `ValueError` unless it is one of the choices."""
        if self._chosen(expected) is None:
            raise ValueError(f"is none of the choices {', '.join(self.choices)}")

    def _chosen(self, text: str) -> str | None:
        """The longest label that the text begins with, where a word of the text ends."""
        said = text.strip(_AROUND).casefold()
        fitting = [
            label
            for label in self._labels
            if said.startswith(label) and not said[len(label) : len(label) + 1].isalnum()
        ]
        return max(fitting, key=len, default=None)

    @property
    def _labels(self) -> list[str]:
        return [each.strip(_AROUND).casefold() for each in self.choices]


class SameSet(BaseModel):
    """The answer lists the expected members, in any order; repeating one does not count."""

    model_config = _CONFIG

    kind: Literal["set"]
    separator: str = Field(default=",", min_length=1, max_length=16, description="Stands between members.")
    credit: Literal["all", "f1"] = Field(
        default="all",
        description="all: right or wrong. f1: 2 x common / (found + expected), a score between 0 and 1.",
    )

    def score(self, found: str, expected: str) -> float:
        """1 or 0, or by `f1` a number between them."""
        mine, theirs = self._members(found), self._members(expected)
        if self.credit == "all" or not (mine or theirs):
            return float(mine == theirs)
        return 2 * len(mine & theirs) / (len(mine) + len(theirs))

    def require(self, expected: str) -> None:
        """Any text will do; one without members is the empty set."""

    def _members(self, text: str) -> frozenset[str]:
        parts = (each.strip().strip("'\"").casefold() for each in _bare(text).split(self.separator))
        return frozenset(each for each in parts if each)


class Matching(BaseModel):
    """The item's answer is a regular expression, Python's, which the whole answer has to match."""

    model_config = _CONFIG

    kind: Literal["regex"]

    def score(self, found: str, expected: str) -> float:
        """1 or 0; a pattern that takes too long does not match."""
        try:
            matched = regex.fullmatch(expected, found.strip(), timeout=SEARCH_SECONDS, concurrent=True)
        except TimeoutError:
            return 0.0
        return float(matched is not None)

    def require(self, expected: str) -> None:
        """Raise `ValueError` unless it is a pattern that can be used."""
        require_pattern(expected)


class JudgeCommand(BaseModel):
    """A command of one's own says what a completion is worth. Only `demur compare` runs one, never a server.

    It reads a JSON object from its standard input: `id`, `prompt`, `completion`, `found` (the answer as it
    was read, or null), `answer`, and the item's `fields`. It writes a number from 0 to 1, or an object with
    `score` and, if it likes, `answer`.
    """

    model_config = _CONFIG

    kind: Literal["command"]
    command: Listed[Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]] = Field(
        min_length=1, max_length=64, description="The program and its arguments; no shell reads them."
    )
    seconds: float = Field(default=10.0, ge=0.1, le=600, description="How long it may take.")
    memory_mib: int = Field(
        default=1024, ge=16, le=1_048_576, description="How much memory a process of it may have."
    )


Comparing = SameText | SameNumber | SameChoice | SameSet | Matching
Scoring = Annotated[Comparing | JudgeCommand, Field(discriminator="kind")]


def _bare(text: str) -> str:
    """A text without the brackets around all of it, two pairs at most, or one that has no partner."""
    for _ in range(2):
        text = text.strip()
        if _is_bracketed(text):
            text = text[1:-1]
    for opening, closing in _BRACKETS.items():
        surplus = text.count(opening) - text.count(closing)
        if surplus > 0:
            text = text.removeprefix(opening)
        elif surplus < 0:
            text = text.removesuffix(closing)
    return text


def _is_bracketed(text: str) -> bool:
    """Whether the bracket that a text begins with is closed by its last character."""
    closing = _BRACKETS.get(text[:1])
    depth = 0
    for place, character in enumerate(text if closing else ""):
        depth += (character == text[0]) - (character == closing)
        if not depth:
            return place == len(text) - 1
    return False
