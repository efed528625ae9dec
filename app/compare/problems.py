"""The problems of a comparison, the same for every arm, and verdicts on the texts that arms write."""

from collections.abc import Callable
from dataclasses import dataclass

from app.compare.answers import is_right
from app.compare.spec import ComparisonSpec, CorpusProblems, GivenProblems
from app.errors import ParameterError, UnfitError
from models.checkpoint import LoadedCheckpoint
from models.corpora.corpus import Corpus, judge
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_of, why_none
from models.errors import SpecError

SEEDS_PER_OP = 1_000_000
SEEDS_PER_RUN = 1_000_000_000
"""A problem has its seed whatever the size of the set, so that a smaller set is a part of a larger one."""


@dataclass(frozen=True)
class Problem:
    """A problem as every arm gets it.

    prompt: exactly what the model is to continue. answer: None if it is not known.
    """

    id: str
    group: str | None
    prompt: str
    answer: str | None
    seed: int


@dataclass(frozen=True)
class Verdict:
    """What a text is worth; the fields are those of `Outcome`."""

    answer: str | None
    correct: bool | None
    solved: bool | None = None
    first_error: int | None = None


Judge = Callable[[Problem, str], Verdict]


def resolve(spec: ComparisonSpec, checkpoint: LoadedCheckpoint) -> list[Problem]:
    """The problems, ops in turn, so that what was computed first is a fair part of all.

    Raises:
        ParameterError: the checkpoint has no corpus, or the corpus has no such problems.
    """
    if isinstance(spec.problems, GivenProblems):
        return [
            Problem(name, None, item.prompt, item.answer, spec.seed * SEEDS_PER_RUN + place)
            for place, (name, item) in enumerate(zip(spec.problems.ids, spec.problems.items, strict=True))
        ]
    corpus = _corpus(checkpoint)
    counts = _counts(spec.problems)
    try:
        drawn = {
            op: draw_set(corpus, spec.problems.split, op, count, spec.seed) for op, count in counts.items()
        }
    except SpecError as error:
        raise ParameterError(
            f"problems.ops is {spec.problems.ops}: {error}.", param="problems.ops"
        ) from error
    return [
        Problem(
            id=f"{op}/{index}",
            group=f"{corpus.sizes.name} {op}",
            prompt=drawn[op][index].prompt + corpus.layout.solution_start,
            answer=str(drawn[op][index].answer),
            seed=spec.seed * SEEDS_PER_RUN + op * SEEDS_PER_OP + index,
        )
        for index in range(max(counts.values()))
        for op, count in counts.items()
        if index < count
    ]


def judge_of(spec: ComparisonSpec, checkpoint: LoadedCheckpoint) -> Judge:
    """What judges the texts: the checker of the corpus, or the comparison with the answers that were given.

    Raises:
        ParameterError: the checkpoint has no corpus.
    """
    if isinstance(spec.problems, GivenProblems):
        reading = spec.problems.reading

        def compare(problem: Problem, text: str) -> Verdict:
            if problem.answer is None:
                return Verdict(None, None)
            found = reading.read(text)
            return Verdict(found, is_right(found, problem.answer))

        return compare
    corpus = _corpus(checkpoint)

    def check(problem: Problem, text: str) -> Verdict:
        report = judge(corpus, problem.prompt.removesuffix(corpus.layout.solution_start), text)
        answer = None if report.answer is None else str(report.answer)
        return Verdict(answer, report.answer_correct, report.correct, report.first_error)

    return check


def _corpus(checkpoint: LoadedCheckpoint) -> Corpus:
    corpus = corpus_of(checkpoint.card)
    if corpus is None:
        raise UnfitError(
            f"problems.source is 'corpus', but the card of {checkpoint.model.spec.name!r} "
            f"{why_none(checkpoint.card)}, so there are none to draw; give problems with source 'given', or "
            "a model of `demur pretrain`.",
            param="problems.source",
        )
    return corpus


def _counts(problems: CorpusProblems) -> dict[int, int]:
    """How many problems of each op: as even as can be, the smallest ops first, so that no count shrinks when
    the whole grows."""
    low, high = problems.ops
    ops = range(low, high + 1)
    share, rest = divmod(problems.count, len(ops))
    return {op: share + (place < rest) for place, op in enumerate(ops)}
