"""igsm as a corpus: word problems of quantities that depend on each other, modulo a number (docs/igsm.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import get_args

from models.corpora.abilities import Graph, Quantity
from models.corpora.corpus import DrawnProblem, Layout, Report, Sizes
from models.corpora.igsm import text
from models.corpora.igsm.check import check_parsed
from models.corpora.igsm.dataset import draw_with_template
from models.corpora.igsm.grammar import Kind
from models.corpora.igsm.parse import ParsedProblem, parse_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.vocabulary import igsm_tokenizer
from models.corpora.splits import Split
from models.tokenizer import Tokenizer

_WITHOUT_CONSTANT = ("sum", "difference")
_LAYOUT = Layout(
    solution_start=text.SOLUTION_START,
    step_end=text.SENTENCE_END,
    answer_marker=text.ANSWER,
    step_middles=(text.EQUALS,),
    longest_step=16,
)
_VERDICTS: Mapping[str, str] = {
    "correct": "none of these",
    "syntax": "it cannot be read",
    "unknown": "the problem does not define its quantity",
    "repeated": "an earlier step did",
    "unnecessary": "the answer does not need it",
    "not_ready": "it depends on what no earlier step defines",
    "formula": "the restated sentence is not the problem's",
    "arithmetic": "a number put in, the operator or the result is wrong",
}


@dataclass(frozen=True)
class IgsmChecker:
    """Judges solutions of one problem."""

    problem: ParsedProblem

    @property
    def answer(self) -> int:
        return self.problem.answer

    def judge(self, solution: str) -> Report:
        return check_parsed(self.problem, solution)


@dataclass(frozen=True)
class Igsm:
    """The corpus; see `models.corpora.corpus.Corpus`. Its problems are graphs, and its steps begin with a
    quantity each."""

    settings: IgsmSpec = field(default_factory=IgsmSpec)
    name = "igsm"
    layout = _LAYOUT
    verdicts = _VERDICTS
    graph_kinds = get_args(Kind)

    @property
    def sizes(self) -> Sizes:
        spec = self.settings
        meaning = "how many quantities the answer needs"
        return Sizes("op", "steps", meaning, spec.op_min, spec.op_max, spec.op_largest)

    @property
    def answers(self) -> range:
        return range(self.settings.modulus)

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        drawn, template = draw_with_template(random, self.settings, split, size)
        return DrawnProblem(
            size, text.problem_phrases(drawn), text.solution_phrases(drawn), drawn.answer, template
        )

    def parse(self, problem: str) -> IgsmChecker:
        return IgsmChecker(parse_problem(problem, self.settings.modulus))

    def make_tokenizer(self) -> Tokenizer:
        return igsm_tokenizer(self.settings)

    def graph(self, problem: str) -> Graph:
        parsed = parse_problem(problem, self.settings.modulus)
        quantities = tuple(
            Quantity(
                name,
                definition.kind,
                definition.operands,
                None if definition.kind in _WITHOUT_CONSTANT else definition.constant,
                parsed.values[name],
                name in parsed.needed,
            )
            for name, definition in parsed.definitions.items()
        )
        return Graph(parsed.question, quantities)

    def step_starts(self, problem: str) -> Mapping[str, bool]:
        parsed = parse_problem(problem, self.settings.modulus)
        return {name.capitalize(): name in parsed.needed for name in parsed.definitions}
