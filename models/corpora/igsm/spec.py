"""What an igsm corpus is made of: every number that shapes it, in one frozen record."""

from pydantic import model_validator

from models.corpora.settings import CorpusSettings, check_range

NOUNS: tuple[str, ...] = (
    "apples", "badges", "boats", "bells", "books", "candles", "carpets", "clocks", "coins", "corks",
    "crates", "cups", "drums", "eggs", "fans", "flags", "flutes", "forks", "gems", "gloves",
    "hats", "horns", "jars", "kites", "knots", "ladders", "lamps", "lemons", "magnets", "maps",
    "masks", "melons", "mirrors", "nets", "nuts", "oars", "olives", "onions", "pans", "pens",
    "pillows", "plums", "ropes", "rugs", "saddles", "scarves", "shells", "shovels", "skates", "spoons",
    "stamps", "stools", "tents", "ties", "tiles", "towels", "trays", "trumpets", "vases", "wheels",
)  # fmt: skip


class IgsmSpec(CorpusSettings):
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

    @model_validator(mode="after")
    def _check(self) -> "IgsmSpec":
        check_range("modulus", self.modulus, 3, 99)
        check_range("nouns", self.nouns, 4, len(NOUNS))
        check_range("op_min", self.op_min, 1, self.op_max)
        check_range("op_max", self.op_max, self.op_min, 20)
        check_range("ood_extra", self.ood_extra, 0, 20)
        check_range("distractors_min", self.distractors_min, 0, self.distractors_max)
        check_range("distractors_max", self.distractors_max, self.distractors_min, 20)
        quantities = self.op_max + self.ood_extra + self.distractors_max
        if quantities > self.nouns:
            raise ValueError(
                f"op_max + ood_extra + distractors_max = {quantities} quantities need as many nouns, but "
                f"nouns is {self.nouns}; raise nouns (at most {len(NOUNS)}) or lower one of the three"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The plural nouns in use, lower case."""
        return NOUNS[: self.nouns]

    @property
    def op_largest(self) -> int:
        """Largest op that there are problems of, those beyond the trained range included."""
        return self.op_max + self.ood_extra
