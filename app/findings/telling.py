"""How well a network gives the names and values of biographies that it was trained on, token by token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import NDArray

from models.corpora.bios.biography import biography, phrases_of
from models.corpora.bios.bios import Bios
from models.corpora.bios.people import Person
from models.corpora.bios.values import ATTRIBUTES, FIRST_NAMES
from models.gpt2 import GPT2
from models.tokenizer import END_OF_TEXT, Tokenizer

Floats = NDArray[np.float64]
_ROWS = 64


@dataclass(frozen=True)
class Told:
    """What a network makes of one biography of each person, given the text before each token.

    name_nats, value_nats: [people], summed over the tokens of the name, and of all five values. No token
    stands before a first name, so that it counts as one of all that there are.
    right: [people, attributes], whether every token of the value is the likeliest.
    tokens: ids that stand in any of the texts.
    """

    name_nats: Floats
    value_nats: Floats
    right: Floats
    tokens: frozenset[int]


@torch.inference_mode()
def tell(network: GPT2, tokenizer: Tokenizer, corpus: Bios, people: Sequence[Person]) -> Told:
    """Read the first biography of each person; the name must come first in it."""
    name_nats = np.full(len(people), log(len(FIRST_NAMES)))
    value_nats, right = np.zeros(len(people)), np.zeros((len(people), len(ATTRIBUTES)))
    seen: set[int] = set()
    for start in range(0, len(people), _ROWS):
        chunk = people[start : start + _ROWS]
        texts = [_Text.of(corpus, tokenizer, person) for person in chunk]
        ids = _padded([text.ids for text in texts])
        seen.update(*(text.ids for text in texts))
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        log_probs = network(ids, positions, torch.zeros_like(ids)).log_softmax(-1)[:, :-1]
        nats = -log_probs.gather(-1, ids[:, 1:, None])[..., 0].double().numpy()
        likeliest = (log_probs.argmax(-1) == ids[:, 1:]).numpy()
        for row, text in enumerate(texts):
            name_nats[start + row] += nats[row, text.name].sum()
            for number, value in enumerate(text.values):
                value_nats[start + row] += nats[row, value].sum()
                right[start + row, number] = likeliest[row, value].all()
    return Told(name_nats, value_nats, right, frozenset(seen))


@dataclass(frozen=True)
class _Text:
    """ids: of a biography with its end. name, values: where the tokens stand, the first of the text left out:
    numbers of predictions, of which the first is that of the second token."""

    ids: list[int]
    name: slice
    values: list[slice]

    @staticmethod
    def of(corpus: Bios, tokenizer: Tokenizer, person: Person) -> "_Text":
        settings = corpus.settings
        text = biography(person, 0, settings.form, settings.order, settings.name_place)
        phrases = phrases_of(text)
        ids = [*(tokenizer.phrase_id(phrase) for phrase in phrases), tokenizer.phrase_id(END_OF_TEXT)]
        name = len(phrases_of(person.name))
        found = [_find(phrases, phrases_of(f" {person.values[each]}"), name) for each in ATTRIBUTES]
        return _Text(ids, slice(0, name - 1), [slice(at.start - 1, at.stop - 1) for at in found])


def _find(phrases: Sequence[str], part: Sequence[str], start: int) -> slice:
    """Where a part stands among phrases, from `start` on."""
    places: Iterator[int] = iter(range(start, len(phrases) - len(part) + 1))
    place = next(place for place in places if list(phrases[place : place + len(part)]) == list(part))
    return slice(place, place + len(part))


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """[rows, longest], filled up with 0 at the end, where no token of the text can see it."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    return ids
