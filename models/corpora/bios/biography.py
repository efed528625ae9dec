"""Texts about a person: biographies in several forms, and questions both ways."""

import re
from random import Random
from typing import Literal

from models.corpora.bios.people import Person
from models.corpora.bios.sentences import NAMED, PREDICATES, SHORT, SOMEBODY
from models.corpora.bios.values import ATTRIBUTES, Attribute

Form = Literal["single", "multi5", "compact"]
Order = Literal["fixed", "permuted"]
NamePlace = Literal["first", "every", "last"]
VARIANTS = 5

ANSWER = "Answer:"
_PHRASE = re.compile(rf"\. |\n|{ANSWER}| ?[^\W\d]+| ?\d+| ?[^\s\w]+")


def phrases_of(text: str) -> list[str]:
    """The text as the tokenizer takes it apart, one token each."""
    return _PHRASE.findall(text)


def biography(person: Person, variant: int, form: Form, order: Order, name_place: NamePlace) -> str:
    """A biography; the variant decides the predicates and, if it is `permuted`, the order.

    Args:
        variant: 0 for the only one of `single`, else 0 to `VARIANTS` - 1.
        name_place: the name in the first sentence, in every one, or in one of its own at the end, so that
            it stands after all that is said of it.
    """
    own = Random(f"biography/{person.name}/{variant}")
    attributes = list(ATTRIBUTES)
    if order == "permuted":
        own.shuffle(attributes)
    if form == "compact":
        short = {attribute: predicate for predicate, attribute in SHORT.items()}
        return (
            f"{person.name}: "
            + "; ".join(f"{short[each]} {person.values[each]}" for each in attributes)
            + "."
        )
    sentences = [
        f"{own.choice(PREDICATES[attribute])} {person.values[attribute]}." for attribute in attributes
    ]
    subjects = [person.name if name_place == "every" else SOMEBODY] * len(sentences)
    if name_place == "first":
        subjects[0] = person.name
    told = [f"{subject} {sentence}" for subject, sentence in zip(subjects, sentences, strict=True)]
    if name_place == "last":
        told.append(f"{NAMED} {person.name}.")
    return " ".join(told)


def forward_question(name: str, attribute: Attribute) -> str:
    """What somebody's attribute is."""
    return f"{name}: {attribute}?"


def inverse_question(person: Person) -> str:
    """Who has all these attributes."""
    return f"Who: {'; '.join(person.values[attribute] for attribute in ATTRIBUTES)}?"
