"""Problems of a generator of reasoning-gym, scored by its own scorer."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from app.compare.problem_sets.gym import Gym, GymError, require_gym
from app.compare.problem_sets.problem import SEEDS_PER_RUN, Problem, Verdict
from app.compare.problem_sets.question_split import split_of_question
from app.compare.problem_sets.sources import GymProblems
from app.errors import ParameterError
from models.corpora.splits import Split

_BATCH = 16
_SCORE_SECONDS = 20.0
_LOAD_SECONDS = 120.0
MOST_DRAWN = 20_000
"""The length of the series; a quarter of it falls into a split, less what small worlds repeat."""
_TRIES_PER_PROBLEM, _MORE_TRIES = 40, 2_000


@dataclass(frozen=True)
class GymSet:
    """The problem set; see `ProblemSet`.

    seed: of the comparison. draw_seconds: how long drawing may take. The problems of all splits are of one
    endless series that the seed decides; a problem is named after its place in it.
    """

    source: GymProblems
    seed: int
    draw_seconds: float
    gym: Gym = field(default_factory=Gym, compare=False)

    def draw(self) -> list[Problem]:
        return self._first(self.source.count, self.source.split, "count")

    def examples(self) -> Sequence[Problem]:
        drawn = self._first(self.source.examples, "train", "examples") if self.source.examples else []
        for each in drawn:
            if each.answer is None:
                raise ParameterError(
                    f"problems.examples is {self.source.examples}, but problems of {self.source.name} come "
                    "without an answer to show; leave it out.",
                    param="problems.examples",
                    code="conflicting_fields",
                )
        return drawn

    def judge(self, problem: Problem, text: str) -> Verdict:
        found = self.source.reading.read(text)
        if found is None:
            return Verdict(None, False, score=0.0)
        assert problem.entry is not None, "drawn by this set"
        asked = {"set": self._set, "index": problem.entry["index"]}
        try:
            self.gym.ask({"do": "load", **asked, "question": problem.fields["question"]}, _LOAD_SECONDS)
        except GymError as error:
            return Verdict(found, None, judge_error=f"{self.source.name}: {error}")
        try:
            score = self.gym.ask({"do": "score", **asked, "answer": found}, _SCORE_SECONDS)["score"]
        except GymError as error:  # of this answer, so it is wrong
            return Verdict(found, False, score=0.0, judge_error=f"the scorer of {self.source.name}: {error}")
        return Verdict(found, score == 1, score=score)

    def close(self) -> None:
        self.gym.close()

    @property
    def _set(self) -> dict[str, Any]:
        source = self.source
        # Generators take a problem's random numbers from seed + index, so seeds in a row share most problems.
        digest = sha256(f"{source.name}/{self.seed}".encode()).digest()
        return {"name": source.name, "settings": source.settings, "seed": int.from_bytes(digest[:4]) >> 2}

    def _first(self, count: int, split: Split, param: str) -> list[Problem]:
        """The first different problems of a split.

        Raises:
            ParameterError: there are not so many, or the generator or a setting does not work.
        """
        require_gym()
        found: dict[str, Problem] = {}
        try:
            for index, question, answer in self._series(count):
                if split_of_question(question) == split:
                    found.setdefault(question, self._problem(index, question, answer))
                if len(found) == count:
                    return list(found.values())
        except GymError as error:
            setting = error.setting
            blamed = "settings" if setting is None else "name" if setting == "name" else f"settings.{setting}"
            raise ParameterError(
                f"problems of {self.source.name}: {error}; `demur problems show {self.source.name}` has its "
                "settings.",
                param=f"problems.{blamed}",
                code="unknown_name" if setting == "name" else "invalid_value",
            ) from error
        raise ParameterError(
            f"problems.{param} is {count}, but {self.source.name} with these settings has only {len(found)} "
            f"different problems in the split {split!r}; ask for fewer, or for larger ones.",
            param=f"problems.{param}",
        )

    def _series(self, count: int) -> Iterator[tuple[int, str, str | None]]:
        until = time.monotonic() + self.draw_seconds
        for start in range(0, min(MOST_DRAWN, count * _TRIES_PER_PROBLEM + _MORE_TRIES), _BATCH):
            left = until - time.monotonic()
            if left <= 0:
                raise GymError(f"drawing took longer than {self.draw_seconds:g} seconds; ask for fewer")
            asked = {"do": "generate", "set": self._set, "start": start, "stop": start + _BATCH}
            yield from self.gym.ask(asked, left)["problems"]

    def _problem(self, index: int, question: str, answer: str | None) -> Problem:
        return Problem(
            id=f"{self.source.name}/{index}",
            group=None,
            prompt=question,
            answer=answer,
            seed=self.seed * SEEDS_PER_RUN + index,
            fields={"prompt": question, "question": question},
            entry={"index": index},
        )
