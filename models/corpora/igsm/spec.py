"""What an igsm corpus is made of: every number that shapes it, in one frozen record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import SpecError

NOUNS: tuple[str, ...] = (
    "apples", "badges", "boats", "bells", "books", "candles", "carpets", "clocks", "coins", "corks",
    "crates", "cups", "drums", "eggs", "fans", "flags", "flutes", "forks", "gems", "gloves",
    "hats", "horns", "jars", "kites", "knots", "ladders", "lamps", "lemons", "magnets", "maps",
    "masks", "melons", "mirrors", "nets", "nuts", "oars", "olives", "onions", "pans", "pens",
    "pillows", "plums", "ropes", "rugs", "saddles", "scarves", "shells", "shovels", "skates", "spoons",
    "stamps", "stools", "tents", "ties", "tiles", "towels", "trays", "trumpets", "vases", "wheels",
)  # fmt: skip


@dataclass(frozen=True)
class IgsmSpec:
    """Parameters of the corpus.

    `op` is the number of quantities that the answer needs (constants included); `distractors` counts the
    quantities beside them. All arithmetic is modulo `modulus`. `op_max` is the largest op of the training
    range (`id`); `ood` reaches `ood_extra` beyond it.

    Raises:
        SpecError: a value outside its range.
    """

    modulus: int = 11
    nouns: int = 60
    op_min: int = 1
    op_max: int = 5
    ood_extra: int = 4
    distractors_min: int = 0
    distractors_max: int = 3

    def __post_init__(self) -> None:
        _check("modulus", self.modulus, 3, 99)
        _check("nouns", self.nouns, 4, len(NOUNS))
        _check("op_min", self.op_min, 1, self.op_max)
        _check("op_max", self.op_max, self.op_min, 20)
        _check("ood_extra", self.ood_extra, 0, 20)
        _check("distractors_min", self.distractors_min, 0, self.distractors_max)
        _check("distractors_max", self.distractors_max, self.distractors_min, 20)
        quantities = self.op_max + self.ood_extra + self.distractors_max
        if quantities > self.nouns:
            raise SpecError(
                f"op_max + ood_extra + distractors_max = {quantities} quantities need as many nouns, but "
                f"nouns is {self.nouns}; raise nouns (at most {len(NOUNS)}) or lower one of the three"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The plural nouns in use, lower case."""
        return NOUNS[: self.nouns]

    @property
    def op_largest(self) -> int:
        """Largest op that there are problems of, those beyond the trained range included."""
        return self.op_max + self.ood_extra

    @classmethod
    def of_checkpoint(cls, card: Mapping[str, Any]) -> "IgsmSpec | None":
        """The corpus that a checkpoint's card names; None if it names no igsm corpus."""
        corpus = card.get("corpus")
        if not isinstance(corpus, Mapping) or corpus.get("name") != "igsm":
            return None
        return cls(**{name: value for name, value in corpus.items() if name != "name"})

    def to_card(self) -> dict[str, int]:
        """The parameters as plain numbers, as they are written into a checkpoint's card."""
        return asdict(self)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SpecError(f"{name} is {value}; it must be between {low} and {high}")
