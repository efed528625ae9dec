"""Problems that come with the spec, judged by the answers that come with them or by a command."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.compare.problem_sets.judge_command import judge_by_command
from app.compare.problem_sets.problem import SEEDS_PER_RUN, Problem, Verdict
from app.compare.problem_sets.scoring import JudgeCommand
from app.compare.problem_sets.sources import GivenProblems, gives_parts
from app.errors import ParameterError


@dataclass(frozen=True)
class GivenSet:
    """The problem set; see `ProblemSet`. seed: of the comparison."""

    source: GivenProblems
    seed: int

    def draw(self) -> list[Problem]:
        asked = self.source.asked
        if not asked and self.source.split is None:
            raise ParameterError(
                f"problems.items has none but the {self.source.examples} that are shown as examples; give "
                "others to ask.",
                param="problems.items",
            )
        if not asked:
            raise ParameterError(
                f"problems.split is {self.source.split!r}, and no item falls into it; give more items, or "
                "leave it out.",
                param="problems.split",
            )
        return [self._problem(place) for place in asked]

    def examples(self) -> Sequence[Problem]:
        return [self._problem(place) for place in range(self.source.examples)]

    def judge(self, problem: Problem, text: str) -> Verdict:
        scoring = self.source.scoring
        if isinstance(scoring, JudgeCommand):
            return judge_by_command(scoring, problem, text, self.source.reading.read(text))
        if problem.answer is None:
            return Verdict(None, None)
        found = self.source.reading.read(text)
        score = 0.0 if found is None else scoring.score(found, problem.answer)
        return Verdict(found, score == 1, score=score if gives_parts(self.source) else None)

    def close(self) -> None:
        pass

    def _problem(self, place: int) -> Problem:
        item = self.source.items[place]
        return Problem(
            id=str(place) if item.id is None else item.id,
            group=None,
            prompt=item.prompt,
            answer=item.answer,
            seed=self.seed * SEEDS_PER_RUN + place,
            fields={**item.fields, "prompt": item.prompt},
        )
