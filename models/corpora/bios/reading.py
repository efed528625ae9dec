"""Reads and judges what a text says of people, sentence by sentence.

A sentence gets the first verdict that applies:

    syntax         it cannot be read: no such sentence, or a word that is no name and no value
    nobody         nobody of the corpus has that name
    somebody_else  it is about another person than the text
    repeated       an earlier sentence told this attribute
    attribute      what it tells is a value of another attribute
    wrong          it is a value of this attribute, but not this person's
    correct        none of these
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from models.corpora.bios.people import People, Person
from models.corpora.bios.sentences import BY_PREDICATE, NAMED, SHORT, SOMEBODY
from models.corpora.bios.values import (
    ALL_VALUES,
    FIRST_NAMES,
    LAST_NAMES,
    MIDDLE_NAMES,
    VALUES,
    Attribute,
    is_name,
)
from models.corpora.corpus import CORRECT, StepReport


@dataclass(frozen=True)
class Statement:
    """A sentence at characters `start` to `end`. name: of its subject, None where the text's is meant.

    attribute, value: None where it only says whose name it is. All three are None where `readable` is not.
    """

    start: int
    end: int
    readable: bool
    name: str | None = None
    attribute: Attribute | None = None
    value: str | None = None


def statements(text: str) -> Iterator[Statement]:
    """Every sentence, or clause of the compact form, that is closed by a full stop or a semicolon."""
    start = 0
    while ends := [end for mark in ".;" if (end := text.find(mark, start)) >= 0]:
        end = min(ends)
        begin = start + len(text[start:end]) - len(text[start:end].lstrip())
        yield _statement(begin, end + 1, text[begin:end])
        start = end + 1


def judge_statements(
    people: People, told: Collection[Statement], about: str | None = None
) -> tuple[StepReport, ...]:
    """Verdicts on sentences of one text.

    Args:
        about: the person of the text; by default whoever it names first.
    """
    about = about or next((each.name for each in told if each.name), None)
    known: set[Attribute] = set()
    reports: list[StepReport] = []
    for each in told:
        verdict, detail = _judge(people, each, about, known)
        subject = each.attribute or ("name" if each.readable else None)
        reports.append(StepReport(each.start, each.end, subject, verdict, detail))
        if each.attribute and verdict not in ("nobody", "somebody_else"):
            known.add(each.attribute)
    return tuple(reports)


def judge_biography(people: People, text: str) -> tuple[StepReport, ...]:
    """Verdicts on the sentences of a biography that are complete."""
    return judge_statements(people, tuple(statements(text)))


def judge_value(person: Person, attribute: Attribute, value: str) -> tuple[str, str]:
    """Verdict and detail of a value that is told of somebody."""
    if value not in ALL_VALUES or value not in VALUES[attribute]:
        return "attribute", f"{value} is no {attribute}"
    right = person.values[attribute]
    return (CORRECT, "") if value == right else ("wrong", f"the {attribute} of {person.name} is {right}")


def could_go_on(piece: str) -> bool:
    """Whether a text begins a sentence, or is one without its full stop; it may be cut anywhere."""
    for subject in (SOMEBODY, NAMED):
        if subject.startswith(piece):
            return True
    if piece.startswith(f"{NAMED} "):
        return begins_name(piece.removeprefix(f"{NAMED} "))
    if begins_name(piece):
        return True
    subject, rest = _subject(piece)
    predicates = BY_PREDICATE if subject else SHORT
    return any(
        predicate.startswith(rest)
        or (rest.startswith(f"{predicate} ") and begins_value(rest.removeprefix(f"{predicate} ")))
        for predicate in (*predicates, *SHORT)
    )


def begins_name(piece: str) -> bool:
    """Whether it is the beginning of a full name, or the whole of one."""
    words = piece.split(" ")
    lists = (FIRST_NAMES, MIDDLE_NAMES, LAST_NAMES)
    if len(words) > len(lists):
        return False
    *whole, last = words
    return all(word in names for word, names in zip(whole, lists, strict=False)) and any(
        name.startswith(last) for name in lists[len(whole)]
    )


def begins_value(piece: str) -> bool:
    """Whether it is the beginning of a value, or the whole of one."""
    return any(value.startswith(piece) for value in ALL_VALUES)


def _statement(start: int, end: int, sentence: str) -> Statement:
    if sentence.startswith(f"{NAMED} ") and is_name(name := sentence.removeprefix(f"{NAMED} ")):
        return Statement(start, end, True, name)
    subject, rest = _subject(sentence)
    compact = subject is None or subject.endswith(":")
    for predicate, attribute in (SHORT if compact else BY_PREDICATE).items():
        value = rest.removeprefix(f"{predicate} ")
        if value != rest and value in ALL_VALUES:
            name = subject.removesuffix(":") if subject and subject != SOMEBODY else None
            return Statement(start, end, True, name, attribute, value)
    return Statement(start, end, False)


def _subject(sentence: str) -> tuple[str | None, str]:
    """What a sentence begins with: `This person`, a full name, or one with the colon of the compact form; and
    what follows. Without any, the whole may be a clause of the compact form."""
    if sentence.startswith(f"{SOMEBODY} "):
        return SOMEBODY, sentence.removeprefix(f"{SOMEBODY} ")
    words = sentence.split(" ", 3)
    name = " ".join(words[:3])
    if len(words) == 4 and is_name(name.removesuffix(":")):
        return name, words[3]
    return None, sentence


def _judge(people: People, told: Statement, about: str | None, known: set[Attribute]) -> tuple[str, str]:
    if not told.readable:
        return "syntax", "this cannot be read as a sentence about somebody"
    name = told.name or about
    person = people.by_name.get(name) if name else None
    if person is None:
        return "nobody", f"nobody is called {name}" if name else "no sentence says whose text this is"
    if name != about:
        return "somebody_else", f"the text is about {about}"
    if told.attribute is None or told.value is None:
        return CORRECT, ""
    if told.attribute in known:
        return "repeated", f"the {told.attribute} was told already"
    return judge_value(person, told.attribute, told.value)
