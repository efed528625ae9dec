"""bios as a corpus: what a model is told in biographies, and what it can then be asked (docs/bios.md).

Everybody's biography is in the training texts; questions in them are only about people of that split.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from sys import intern

from pydantic import Field, model_validator

from models.chat_template import ChatTemplate
from models.corpora.bios import values
from models.corpora.bios.biography import (
    ANSWER,
    VARIANTS,
    Form,
    NamePlace,
    Order,
    biography,
    forward_question,
    inverse_question,
    phrases_of,
)
from models.corpora.bios.people import People, Person
from models.corpora.bios.reading import (
    begins_name,
    begins_value,
    could_go_on,
    judge_statements,
    judge_value,
    statements,
)
from models.corpora.bios.sentences import PREDICATES, SHORT
from models.corpora.bios.values import ALL_VALUES, ATTRIBUTES, NAMES, Attribute, is_name
from models.corpora.corpus import (
    CORRECT,
    DrawnProblem,
    Layout,
    ProblemSyntaxError,
    Report,
    Sizes,
    StepReport,
)
from models.corpora.settings import CorpusSettings, check_range
from models.corpora.splits import Split, place_of_template, split_of_template
from models.errors import SpecError
from models.tokenizer import OWN_SPECIAL_TOKENS, Tokenizer, train

FORWARD, INVERSE = 1, 2
_REMEMBERED = 2**15
"""Biographies of which the phrases are kept, 5 KB each: more than all of most corpora."""
_BIOGRAPHY_TEMPLATE = "a biography"
"""Of the training split, as every biography is; that a person's is read says nothing of the questions."""
_VERDICTS: Mapping[str, str] = {
    "correct": "none of these",
    "syntax": "it cannot be read",
    "nobody": "nobody has that name",
    "somebody_else": "it is about another person",
    "repeated": "an earlier sentence told it",
    "attribute": "it is a value of another attribute",
    "wrong": "it is a value of the right attribute, but not this person's",
}
_DATE = re.compile(r"[A-Z][a-z]+ \d{1,2}, \d{4}")
_WORDS = re.compile(r"[A-Z][a-z]+ [A-Z][a-z]+ [A-Z][a-z]+|\w+")
_CHAT = ChatTemplate("{{ messages[-1].content.rstrip() + '\\n' }}", OWN_SPECIAL_TOKENS)


class BiosSettings(CorpusSettings):
    """Parameters of the corpus.

    people: how many there are; world: another number, other people. form, order, name_place: of biographies.
    questions: share of questions among the training texts, the rest being biographies.
    inverse_trained: whether questions for the person are trained on, or only tested.
    asked: share of the people whom questions of the training may be about, at most its split.

    Raises:
        SpecError: a value outside its range.
    """

    people: int = 2000
    world: int = 0
    form: Form = "multi5"
    order: Order = "permuted"
    name_place: NamePlace = "first"
    questions: float = Field(default=0.5, ge=0, le=1)
    inverse_trained: bool = False
    asked: float = Field(default=0.8, gt=0, le=0.8)

    @model_validator(mode="after")
    def _check(self) -> "BiosSettings":
        check_range("people", self.people, 100, NAMES // 2)
        return self


@dataclass(frozen=True)
class BiosChecker:
    """Judges answers to one question. `attribute` is None where it asks who has all of `person`'s."""

    people: People
    name: str
    attribute: Attribute | None

    @property
    def answer(self) -> str:
        """Empty where the question is about nobody."""
        person = self.people.by_name.get(self.name)
        if person is None or self.attribute is None:
            return person.name if person else ""
        return person.values[self.attribute]

    def judge(self, solution: str) -> Report:
        solution = solution.partition("<|endoftext|>")[0]
        text, marker, given = solution.partition(ANSWER)
        steps = list(judge_statements(self.people, tuple(statements(text)), self.name))
        tail = max((step.end for step in steps), default=0)
        answer, unfinished = None, None
        if marker:
            if text[tail:].strip():
                steps.append(_unreadable(solution, tail, len(text)))
            answer, unfinished = self._read_answer(solution, len(solution) - len(given), steps)
        elif rest := text[tail:].strip():
            start = text.index(rest, tail)
            if ANSWER.startswith(rest) or could_go_on(rest):
                unfinished = (start, start + len(rest))
            else:
                steps.append(_unreadable(solution, start, len(text)))
        return Report(tuple(steps), answer, self.answer, (), unfinished)

    def _read_answer(
        self, solution: str, start: int, steps: list[StepReport]
    ) -> tuple[str | None, tuple[int, int] | None]:
        """The answer that stands from `start` on, or the span of its beginning; its verdict joins the steps,
        and so does what follows it."""
        given = solution[start:].strip()
        if not given:
            return None, (solution.rindex(ANSWER), len(solution.rstrip()))
        begin = solution.index(given, start)
        answer = _first_value(given)
        if answer is None:
            if begins_name(given) or begins_value(given):
                return None, (begin, begin + len(given))
            steps.append(_unreadable(solution, begin, len(solution)))
            return None, None
        end = begin + len(answer)
        subject = f"{self.attribute} of {self.name}" if self.attribute else "name"
        steps.append(StepReport(begin, end, subject, *self._verdict(answer)))
        if solution[end:].strip() not in ("", "."):
            steps.append(_unreadable(solution, end, len(solution)))
        return answer, None

    def _verdict(self, answer: str) -> tuple[str, str]:
        person = self.people.by_name.get(self.name)
        if person is None:
            return "nobody", f"nobody is called {self.name}"
        if self.attribute is not None:
            return judge_value(person, self.attribute, answer)
        if answer == self.name:
            return CORRECT, ""
        if not is_name(answer):
            return "attribute", f"{answer} is no name"
        if answer not in self.people.by_name:
            return "nobody", f"nobody is called {answer}"
        return "somebody_else", f"that is {self.name}"


@dataclass(frozen=True)
class Bios:
    """The corpus; see `models.corpora.corpus.Corpus`."""

    settings: BiosSettings = field(default_factory=BiosSettings)
    name = "bios"
    layout = Layout(answer_marker=ANSWER, longest_step=24)
    verdicts = _VERDICTS

    @property
    def sizes(self) -> Sizes:
        meaning = (
            "which way a question goes: 1 from a person to an attribute, 2 from all attributes to the person"
        )
        return Sizes(
            "way", "way", meaning, FORWARD, INVERSE if self.settings.inverse_trained else FORWARD, INVERSE
        )

    @property
    def answers(self) -> Sequence[str]:
        return ()

    def is_asked(self, person: Person) -> bool:
        """Whether questions of the training may be about somebody."""
        return place_of_template(person.name) < self.settings.asked

    @cached_property
    def people(self) -> People:
        """Who there is."""
        return People(self.settings.people, self.settings.world)

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        if size not in (FORWARD, INVERSE):
            raise SpecError(f"way is {size}; it must be between {FORWARD} and {INVERSE}")
        if split == "train" and random.random() >= self.settings.questions:
            return self._biography(random, size)
        people = self._by_split[split]
        if not people:
            raise SpecError(f"nobody falls into the split {split!r}; raise people")
        person = random.choice(people)
        if size == INVERSE:
            return _question(size, inverse_question(person), person.name, person)
        attribute = random.choice(ATTRIBUTES)
        return _question(size, forward_question(person.name, attribute), person.values[attribute], person)

    def parse(self, problem: str) -> BiosChecker:
        name, colon, rest = problem.strip().partition(": ")
        if colon and rest.endswith("?"):
            if name == "Who" and (person := self._by_values.get(rest[:-1])):
                return BiosChecker(self.people, person.name, None)
            for attribute in ATTRIBUTES:
                if is_name(name) and rest == f"{attribute}?":
                    return BiosChecker(self.people, name, attribute)
        raise ProblemSyntaxError(
            "a problem is a name and an attribute, such as `Alan Ashley Bramgate: birth city?`, or `Who: ` "
            "and the five values of somebody"
        )

    def make_tokenizer(self) -> Tokenizer:
        names = " ".join((*values.FIRST_NAMES, *values.MIDDLE_NAMES, *values.LAST_NAMES))
        numbers = " ".join(map(str, (*values.DAYS, *values.YEARS)))
        predicates = " ".join(predicate for each in PREDICATES.values() for predicate in each)
        told = " ".join(
            (*values.MONTHS, *values.CITIES, *values.UNIVERSITIES, *values.FIELDS, *values.EMPLOYERS)
        )
        texts = [f" {names} {numbers} {predicates} {' '.join(SHORT)} {told}", *values.FIRST_NAMES]
        person = self.people.everybody[0]
        texts += [biography(person, 0, form, "fixed", "last") for form in ("single", "compact")]
        texts += [f"{forward_question(person.name, each)}\n{ANSWER}" for each in ATTRIBUTES]
        return train([*texts, inverse_question(person), ", ;"], (ANSWER,), _CHAT)

    def _biography(self, random: Random, size: int) -> DrawnProblem:
        settings = self.settings
        person = random.choice(self.people.everybody)
        variant = random.randrange(VARIANTS) if settings.form == "multi5" else 0
        told = self._told.get((person.number, variant))
        if told is None:
            if len(self._told) >= _REMEMBERED:
                self._told.clear()
            text = biography(person, variant, settings.form, settings.order, settings.name_place)
            told = self._told[person.number, variant] = [intern(phrase) for phrase in phrases_of(text)]
        return DrawnProblem(size, told[:1], told[1:], "", _BIOGRAPHY_TEMPLATE)

    @cached_property
    def _told(self) -> dict[tuple[int, int], list[str]]:
        """Phrases of biographies that were drawn lately, by person and variant: each is drawn often."""
        return {}

    @cached_property
    def _by_split(self) -> Mapping[Split, Sequence[Person]]:
        """Who may be asked about; nobody of whom another has every value."""
        found: dict[Split, list[Person]] = {"train": [], "validation": [], "calibration": [], "test": []}
        for person in self._by_values.values():
            split = split_of_template(person.name)
            if split != "train" or self.is_asked(person):
                found[split].append(person)
        return found

    @cached_property
    def _by_values(self) -> Mapping[str, Person]:
        listed = [
            "; ".join(each.values[attribute] for attribute in ATTRIBUTES) for each in self.people.everybody
        ]
        alike = Counter(listed)
        found = zip(listed, self.people.everybody, strict=True)
        return {values: person for values, person in found if alike[values] == 1}


def _question(size: int, question: str, answer: str, person: Person) -> DrawnProblem:
    return DrawnProblem(
        size, phrases_of(question), ["\n", ANSWER, *phrases_of(f" {answer}")], answer, person.name
    )


def _first_value(text: str) -> str | None:
    """The value or the full name that a text begins with."""
    found = [match[0] for pattern in (_DATE, _WORDS) if (match := pattern.match(text))]
    found += [word for each in found for word in each.split(" ")[:1]]
    return next((each for each in found if each in ALL_VALUES or is_name(each)), None)


def _unreadable(text: str, start: int, end: int) -> StepReport:
    begin = start + len(text[start:end]) - len(text[start:end].lstrip())
    return StepReport(begin, len(text[:end].rstrip()), None, "syntax", "this cannot be read")
