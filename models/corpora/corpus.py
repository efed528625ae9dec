"""What a corpus is: problems that can be drawn, read and judged step by step, and what their texts look like.

Everything outside a corpus's own package works with what stands here and gets it from
`models.corpora.registry`. docs/corpora.md says how to add one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from models.corpora.settings import CorpusSettings
from models.corpora.splits import Split
from models.errors import ModelsError
from models.tokenizer import Tokenizer

Answer = int | str
CORRECT = "correct"
"""The verdict on a step with nothing wrong; every other verdict is a kind of mistake, the corpus's own."""


class ProblemSyntaxError(ModelsError, ValueError):
    """A text is not a problem of the corpus."""


@dataclass(frozen=True)
class Sizes:
    """How the size of a problem is called, and how far it goes.

    name: in tables, ids and queries, such as `op`. label: in a form, such as `steps`.
    meaning: what it counts, as the rest of a sentence.
    trained_max: largest of the training; from there to `max` a model is tested on what it never saw.
    """

    name: str
    label: str
    meaning: str
    min: int
    trained_max: int
    max: int

    @property
    def trained(self) -> range:
        """Every size that is trained on."""
        return range(self.min, self.trained_max + 1)

    @property
    def all(self) -> range:
        """Those beyond the training too."""
        return range(self.min, self.max + 1)


@dataclass(frozen=True)
class Layout:
    """What the texts look like.

    solution_start: stands between problem and solution. step_end: closes a step, and is one token.
    answer_marker: stands before the answer. step_middles: tokens within a step that are worth a probe.
    longest_step: tokens of the longest step of a right solution; one that goes on is beyond help.
    """

    solution_start: str = "\n"
    step_end: str = ". "
    answer_marker: str = "Answer:"
    step_middles: tuple[str, ...] = ()
    longest_step: int = 16

    @property
    def step_ends(self) -> tuple[str, ...]:
        """What the text ends with where a step is closed, for whoever looks at tokens one by one."""
        return (self.step_end.strip(), "\n")


@dataclass(frozen=True, slots=True)
class DrawnProblem:
    """A problem with a right solution.

    problem_phrases, solution_phrases: joined they are the text, and each is tokenised by itself; the solution
    begins with the layout's `solution_start` and has no end token.
    template: decides the split; see `models.corpora.splits`.
    unlearnt: indices of solution phrases that stand there and are not to be learnt.
    """

    size: int
    problem_phrases: Sequence[str]
    solution_phrases: Sequence[str]
    answer: Answer
    template: str
    unlearnt: frozenset[int] = frozenset()

    @property
    def prompt(self) -> str:
        """The problem's text, without what stands between it and the solution."""
        return "".join(self.problem_phrases)

    @property
    def solution(self) -> str:
        """The solution's text, without what stands before it."""
        return "".join(self.solution_phrases[1:])


@dataclass(frozen=True, slots=True)
class StepReport:
    """Verdict on the step at characters `start` to `end` (exclusive) of the solution.

    `subject` is what the step is about, None where it cannot be read; `detail` says what is wrong, and is
    empty where nothing is.
    """

    start: int
    end: int
    subject: str | None
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """Verdict on a solution.

    `missing` is what the answer needs and no step gives, in the problem's order; `unfinished` is the span of
    a last step or answer that breaks off. `expected` is the right answer. Where the problem itself cannot be
    read, `problem_error` says why and nothing is judged.
    """

    steps: tuple[StepReport, ...]
    answer: Answer | None
    expected: Answer | None
    missing: tuple[str, ...]
    unfinished: tuple[int, int] | None
    problem_error: str | None = None

    @property
    def answer_correct(self) -> bool:
        """Whether there is an answer and it is right."""
        return self.answer is not None and self.answer == self.expected

    @property
    def first_error(self) -> int | None:
        """Index of the first step that is not correct, None where every step is."""
        return next((index for index, step in enumerate(self.steps) if step.verdict != CORRECT), None)

    @property
    def correct(self) -> bool:
        """Whether every step is correct, no needed one is missing, and the answer is right."""
        return self.answer_correct and self.first_error is None and not self.missing


class Checker(Protocol):
    """Judges solutions of one problem."""

    @property
    def answer(self) -> Answer:
        """The right one."""
        ...

    def judge(self, solution: str) -> Report:
        """Judge a solution, whole or cut off anywhere; any text gives a report."""
        ...


class Corpus(Protocol):
    """A controlled world of problems. Immutable: its settings are all that tells two of one name apart."""

    @property
    def name(self) -> str:
        """As a checkpoint's card names it."""
        ...

    @property
    def settings(self) -> CorpusSettings:
        """Every number that shapes it, as they stand in a checkpoint's card."""
        ...

    @property
    def sizes(self) -> Sizes:
        """What the sizes of its problems are called."""
        ...

    @property
    def layout(self) -> Layout:
        """What its texts look like."""
        ...

    @property
    def verdicts(self) -> Mapping[str, str]:
        """Every verdict on a step, `correct` first, with what it says, in the order in which they apply."""
        ...

    @property
    def answers(self) -> Sequence[Answer]:
        """Every answer that a problem may have, in order; empty where there are too many to list."""
        ...

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        """A random problem of that split and size.

        Raises:
            SpecError: there is none.
        """
        ...

    def parse(self, problem: str) -> Checker:
        """Read a problem; space after it is no matter.

        Raises:
            ProblemSyntaxError: the text is none.
        """
        ...

    def make_tokenizer(self) -> Tokenizer:
        """Train the tokenizer; the same settings always give the same one."""
        ...


def judge(corpus: Corpus, problem: str, solution: str) -> Report:
    """Judge a solution; any two texts give a report."""
    try:
        checker = corpus.parse(problem)
    except ProblemSyntaxError as error:
        return Report((), None, None, (), None, problem_error=str(error))
    return checker.judge(solution)
