"""The problems of a comparison: from what its spec says to a problem set."""

from dataclasses import dataclass, replace

from app.compare.problem_sets.corpus_set import served_corpus_set
from app.compare.problem_sets.given_set import GivenSet
from app.compare.problem_sets.gym_set import GymSet
from app.compare.problem_sets.problem import ProblemSet
from app.compare.problem_sets.scoring import JudgeCommand
from app.compare.problem_sets.sources import CorpusProblems, GivenProblems
from app.compare.several_sets import Part, SeveralSets, naming, parts_of
from app.compare.spec import ComparisonSpec
from app.errors import UnfitError
from models.checkpoint import LoadedCheckpoint


@dataclass(frozen=True)
class Allowance:
    """What a comparison may do on this machine: little for whoever asks over HTTP, more at a terminal.

    judge_commands: whether it may run programs. draw_seconds: how long drawing problems may
    take, of all sets together.
    """

    judge_commands: bool = False
    draw_seconds: float = 20.0


AT_A_TERMINAL = Allowance(judge_commands=True, draw_seconds=3600.0)
"""For whoever could run the program, and wait, anyway."""


def problem_set_of(
    spec: ComparisonSpec, checkpoint: LoadedCheckpoint, allowance: Allowance | None = None
) -> ProblemSet:
    """The problem set of a comparison. allowance: as over HTTP if None.

    Raises:
        UnfitError: the checkpoint has no corpus, an extra is not installed, or a command would be run and
            must not be.
    """
    parts = parts_of(spec.problems)
    given = allowance or Allowance()
    share = replace(given, draw_seconds=given.draw_seconds / len(parts))
    sets: dict[str | None, ProblemSet] = {}
    for part in parts:
        with naming(part.where):
            sets[part.name] = _set_of(part, spec.seed, checkpoint, share)
    only = sets.get(None)
    return only or SeveralSets({name: each for name, each in sets.items() if name is not None})


def _set_of(part: Part, seed: int, checkpoint: LoadedCheckpoint, allowance: Allowance) -> ProblemSet:
    source = part.problems
    if isinstance(source, CorpusProblems):
        return served_corpus_set(source, seed, checkpoint)
    if isinstance(source, GivenProblems):
        if isinstance(source.scoring, JudgeCommand) and not allowance.judge_commands:
            raise UnfitError(
                "problems.scoring.kind is 'command'; a server never runs commands for its clients. Run "
                "the comparison with `demur compare`, without --url.",
                param="problems.scoring",
            )
        return GivenSet(source, seed)
    return GymSet(source, seed, allowance.draw_seconds)
