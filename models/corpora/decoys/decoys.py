"""decoys as a corpus: problems of igsm in which nothing on the surface tells what is needed (docs/decoys.md).

Texts, parser and checker are those of igsm; only the drawing is its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from pydantic import model_validator

from models.corpora.abilities import Graph
from models.corpora.corpus import DrawnProblem, Sizes
from models.corpora.decoys.twin_graphs import put_together
from models.corpora.igsm import text
from models.corpora.igsm.graph import Problem, draw_problem
from models.corpora.igsm.igsm import Igsm, IgsmChecker
from models.corpora.igsm.spec import NOUNS, IgsmSpec
from models.corpora.igsm.split import SMALL_OP, split_of, template
from models.corpora.settings import CorpusSettings, check_range
from models.corpora.splits import Split, split_of_template
from models.errors import SpecError
from models.tokenizer import Tokenizer

_DRAWS = 10_000


class DecoysSettings(CorpusSettings):
    """Parameters of the corpus.

    `op` is the number of quantities that the answer needs, and of the decoys, which have a sink besides. All
    arithmetic is modulo `modulus`. `op_max` is the largest op of the training range; tests reach `ood_extra`
    beyond it.

    Raises:
        SpecError: a value outside its range.
    """

    modulus: int = 11
    nouns: int = 60
    op_min: int = 1
    op_max: int = 4
    ood_extra: int = 4

    @model_validator(mode="after")
    def _check(self) -> "DecoysSettings":
        check_range("modulus", self.modulus, 3, 99)
        check_range("nouns", self.nouns, 4, len(NOUNS))
        check_range("op_min", self.op_min, 1, self.op_max)
        check_range("op_max", self.op_max, self.op_min, 20)
        check_range("ood_extra", self.ood_extra, 0, 20)
        if self.op_max + self.ood_extra > self.op_possible:
            raise ValueError(
                f"op_max + ood_extra = {self.op_max + self.ood_extra} needed quantities, as many decoys and "
                f"their sink need more than {self.nouns} nouns; raise nouns (at most {len(NOUNS)}) or lower "
                "one of the two"
            )
        return self

    @property
    def op_possible(self) -> int:
        """Largest op that there are nouns for."""
        return (self.nouns - 1) // 2


@dataclass(frozen=True)
class Decoys:
    """The corpus; see `models.corpora.corpus.Corpus`."""

    settings: DecoysSettings = field(default_factory=DecoysSettings)
    name = "decoys"
    layout = Igsm.layout
    verdicts = Igsm.verdicts
    graph_kinds = Igsm.graph_kinds

    @property
    def sizes(self) -> Sizes:
        settings = self.settings
        meaning = "how many quantities the answer needs, beside as many decoys"
        largest = settings.op_max + settings.ood_extra
        return Sizes("op", "steps", meaning, settings.op_min, settings.op_max, largest)

    @property
    def answers(self) -> range:
        return range(self.settings.modulus)

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        if not 1 <= size <= self.settings.op_possible:
            raise SpecError(f"op is {size}; it must be between 1 and {self.settings.op_possible}")
        spec = self._language.settings
        for _ in range(_DRAWS):
            asked, other = (_drawn_graph(random, spec, split, size) for _ in range(2))
            drawn = put_together(random, spec, asked, other)
            found = template_of(drawn)
            if split_of_template(found) == split:
                return DrawnProblem(
                    size, text.problem_phrases(drawn), text.solution_phrases(drawn), drawn.answer, found
                )
        raise SpecError(f"no problem of op {size} falls into the split {split!r}; raise op")

    def parse(self, problem: str) -> IgsmChecker:
        return self._language.parse(problem)

    def graph(self, problem: str) -> Graph:
        return self._language.graph(problem)

    def step_starts(self, problem: str) -> Mapping[str, bool]:
        return self._language.step_starts(problem)

    def make_tokenizer(self) -> Tokenizer:
        return self._language.make_tokenizer()

    @cached_property
    def _language(self) -> Igsm:
        """igsm with the same words and numbers."""
        return Igsm(IgsmSpec(modulus=self.settings.modulus, nouns=self.settings.nouns))


def _drawn_graph(random: Random, spec: IgsmSpec, split: Split, op: int) -> Problem:
    """Needed quantities or decoys. Both are of the split: else their shape would tell which is which."""
    while True:
        drawn = draw_problem(random, spec, op, 0)
        if op <= SMALL_OP or split_of(drawn) == split:
            return drawn


def template_of(problem: Problem) -> str:
    """The template that decides the split: that of igsm; with op 1, of which there are only a dozen, the
    numbers of the sentences join it."""
    if problem.op > 1:
        return template(problem)
    numbers = ",".join(str(problem.definitions[quantity].constant) for quantity in problem.text_order)
    return f"{template(problem)}|{numbers}"
