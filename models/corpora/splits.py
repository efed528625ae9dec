"""Which split a problem belongs to: by the hash of its template, so that no template is in two splits.

A template is what two problems have in common that a model may not learn from the one for the other; each
corpus says what that is.
"""

from hashlib import sha256
from typing import Literal, get_args

from models.errors import SpecError

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_UPPER: tuple[tuple[Split, int], ...] = (
    ("train", 205),
    ("validation", 218),
    ("calibration", 231),
    ("test", 256),
)
"""Upper bounds of the first hash byte: 80.1, 5.1, 5.1 and 9.8% of the templates."""
_PLACES = 256


def split_of_template(template: str) -> Split:
    """The split that a template falls into."""
    place = place_of_template(template)
    return next(split for split, upper in _UPPER if place < upper / _PLACES)


def place_of_template(template: str) -> float:
    """From 0 to 1, by the hash; the first 80.1% are the training's."""
    return sha256(template.encode()).digest()[0] / _PLACES


def check_split(name: str) -> Split:
    """The split of that name.

    Raises:
        SpecError: there is none.
    """
    for split in SPLITS:
        if split == name:
            return split
    raise SpecError(f"there is no split {name!r}; choose one of {', '.join(SPLITS)}")
