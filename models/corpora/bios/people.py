"""Who there is: people drawn from a seed, and how many bits it takes to know them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import lgamma, log, log2
from random import Random

from models.corpora.bios.values import ATTRIBUTES, NAMES, VALUES, Attribute, name_number


@dataclass(frozen=True)
class Person:
    """number: from 0 on. name: nobody else has it. values: of every attribute."""

    number: int
    name: str
    values: Mapping[Attribute, str]


@dataclass(frozen=True)
class InformationContent:
    """Bits that tell who there is and what holds of them, in all.

    names: of the set of names, each set being as likely. values: of all attributes of all people.
    """

    names: float
    values: float

    @property
    def total(self) -> float:
        return self.names + self.values


@dataclass(frozen=True)
class People:
    """`count` people with distinct names; every set of names, and every value of everybody, is as likely."""

    count: int
    seed: int

    @cached_property
    def everybody(self) -> tuple[Person, ...]:
        random = Random(f"people/{self.seed}")
        names = random.sample(range(NAMES), self.count)
        return tuple(
            Person(
                number,
                name_number(name),
                {attribute: random.choice(VALUES[attribute]) for attribute in ATTRIBUTES},
            )
            for number, name in enumerate(names)
        )

    @cached_property
    def by_name(self) -> Mapping[str, Person]:
        return {person.name: person for person in self.everybody}

    def stranger(self, random: Random) -> str:
        """A name that nobody has."""
        while (name := name_number(random.randrange(NAMES))) in self.by_name:
            pass
        return name

    @property
    def information(self) -> InformationContent:
        """log2 of the number of worlds that could have been drawn, up to who comes first."""
        return InformationContent(
            names=_log2_choose(NAMES, self.count),
            values=self.count * sum(log2(len(VALUES[attribute])) for attribute in ATTRIBUTES),
        )


def _log2_choose(n: int, k: int) -> float:
    """log2 of the number of ways to take k of n."""
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2)
