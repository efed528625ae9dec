"""retry as a corpus: igsm whose training texts hold mistakes that are taken back (docs/igsm.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random

from pydantic import model_validator

from models.corpora.abilities import Graph
from models.corpora.corpus import CORRECT, Checker, DrawnProblem, Report, Sizes, StepReport
from models.corpora.igsm import text
from models.corpora.igsm.dataset import draw_with_template
from models.corpora.igsm.grammar import could_go_on
from models.corpora.igsm.igsm import Igsm, IgsmChecker
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.vocabulary import igsm_tokenizer
from models.corpora.retry.taking_back import BACK, with_wrong_beginnings
from models.corpora.splits import Split
from models.tokenizer import Tokenizer

_BACK = BACK.strip()


class RetrySettings(IgsmSpec):
    """Parameters of the corpus: those of igsm, and how often a solution begins wrong.

    rate: probability of a wrong beginning before a step, and of each further one. masked: whether the loss
    leaves out the wrong names; what takes them back is learnt either way.

    Raises:
        SpecError: a value outside its range.
    """

    rate: float = 0.2
    masked: bool = False

    @model_validator(mode="after")
    def _check_rate(self) -> "RetrySettings":
        if not 0 <= self.rate < 1:
            raise ValueError(f"rate is {self.rate}; it must be at least 0 and below 1")
        return self


@dataclass(frozen=True)
class RetryChecker:
    """Judges solutions of one problem as igsm does; a step that is taken back is no mistake."""

    igsm: IgsmChecker

    @property
    def answer(self) -> int:
        return self.igsm.answer

    def judge(self, solution: str) -> Report:
        report = self.igsm.judge(solution)
        steps = tuple(self._read(step, solution) for step in report.steps)
        last = steps[-1] if steps else None
        if (
            last is not None
            and last.verdict == "syntax"
            and _could_be_taken_back(solution[last.start : last.end])
        ):
            return replace(report, steps=steps[:-1], unfinished=(last.start, last.end))
        return replace(report, steps=steps)

    def _read(self, step: StepReport, solution: str) -> StepReport:
        """A step that igsm cannot read may be one that is taken back. It says nothing of its quantity."""
        match solution[step.start : step.end].split():
            case [name, back] if step.verdict == "syntax" and back == f"{_BACK}." and could_go_on([name]):
                if (subject := name.lower()) in self.igsm.problem.definitions:
                    return StepReport(step.start, step.end, subject, CORRECT, "")
                return StepReport(
                    step.start, step.end, subject, "unknown", f"the problem does not define {subject}"
                )
            case _:
                return step


def _could_be_taken_back(end: str) -> bool:
    """Whether a text that breaks off could go on to take back what it names."""
    match end.split():
        case [name, cut]:
            return could_go_on([name]) and _BACK.startswith(cut)
        case _:
            return False


@dataclass(frozen=True)
class Retry:
    """The corpus; see `models.corpora.corpus.Corpus`. Texts of the training split alone have mistakes."""

    settings: RetrySettings = field(default_factory=RetrySettings)
    name = "retry"
    layout = Igsm.layout
    verdicts: Mapping[str, str] = field(
        default_factory=lambda: {**Igsm.verdicts, CORRECT: "none of these, or it is taken back"},
        init=False,
        compare=False,
        repr=False,
    )
    graph_kinds = Igsm.graph_kinds

    @property
    def sizes(self) -> Sizes:
        return self._igsm.sizes

    @property
    def answers(self) -> range:
        return self._igsm.answers

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        drawn, template = draw_with_template(random, self.settings, split, size)
        rate = self.settings.rate if split == "train" else 0.0
        phrases, wrong = with_wrong_beginnings(drawn, text.solution_phrases(drawn), rate, random)
        return DrawnProblem(
            size,
            text.problem_phrases(drawn),
            phrases,
            drawn.answer,
            template,
            unlearnt=wrong if self.settings.masked else frozenset(),
        )

    def parse(self, problem: str) -> Checker:
        return RetryChecker(self._igsm.parse(problem))

    def graph(self, problem: str) -> Graph:
        return self._igsm.graph(problem)

    def make_tokenizer(self) -> Tokenizer:
        return igsm_tokenizer(self.settings, (BACK,))

    @cached_property
    def _igsm(self) -> Igsm:
        """The corpus without mistakes."""
        return Igsm(self.settings)
