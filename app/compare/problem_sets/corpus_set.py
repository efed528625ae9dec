"""Problems of the corpus that the checkpoint was trained on, whose checker judges every step."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.compare.problem_sets.problem import SEEDS_PER_RUN, Problem, Verdict
from app.compare.problem_sets.sources import CorpusProblems
from app.errors import ParameterError, UnfitError
from models.checkpoint import LoadedCheckpoint
from models.corpora.corpus import Corpus, judge
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_of, why_none
from models.errors import SpecError

SEEDS_PER_OP = 1_000_000
"""A problem has its seed whatever the size of the set, so that a smaller set is a part of a larger one."""


@dataclass(frozen=True)
class CorpusSet:
    """The problem set; see `ProblemSet`. seed: of the comparison."""

    corpus: Corpus
    source: CorpusProblems
    seed: int

    def draw(self) -> list[Problem]:
        """The problems, ops in turn, so that what was computed first is a fair part of all."""
        corpus, counts = self.corpus, _counts(self.source)
        try:
            drawn = {
                op: draw_set(corpus, self.source.split, op, count, self.seed) for op, count in counts.items()
            }
        except SpecError as error:
            raise ParameterError(
                f"problems.ops is {self.source.ops}: {error}.", param="problems.ops"
            ) from error
        return [
            Problem(
                id=f"{op}/{index}",
                group=f"{corpus.sizes.name} {op}",
                prompt=drawn[op][index].prompt + corpus.layout.solution_start,
                answer=str(drawn[op][index].answer),
                seed=self.seed * SEEDS_PER_RUN + op * SEEDS_PER_OP + index,
            )
            for index in range(max(counts.values()))
            for op, count in counts.items()
            if index < count
        ]

    def examples(self) -> Sequence[Problem]:
        return ()

    def judge(self, problem: Problem, text: str) -> Verdict:
        layout = self.corpus.layout
        report = judge(self.corpus, problem.prompt.removesuffix(layout.solution_start), text)
        answer = None if report.answer is None else str(report.answer)
        return Verdict(answer, report.answer_correct, report.correct, report.first_error)

    def close(self) -> None:
        pass


def served_corpus_set(source: CorpusProblems, seed: int, checkpoint: LoadedCheckpoint) -> CorpusSet:
    """The problems of a checkpoint's corpus.

    Raises:
        UnfitError: the checkpoint has no corpus.
    """
    corpus = corpus_of(checkpoint.card)
    if corpus is None:
        raise UnfitError(
            f"problems.source is 'corpus', but the card of {checkpoint.model.spec.name!r} "
            f"{why_none(checkpoint.card)}, so there are none to draw; give problems with source 'given' or "
            "'reasoning_gym', or a model of `demur pretrain`.",
            param="problems.source",
        )
    return CorpusSet(corpus, source, seed)


def _counts(problems: CorpusProblems) -> dict[int, int]:
    """How many problems of each op: as even as can be, the smallest ops first, so that no count shrinks when
    the whole grows."""
    low, high = problems.ops
    ops = range(low, high + 1)
    share, rest = divmod(problems.count, len(ops))
    return {op: share + (place < rest) for place, op in enumerate(ops)}
