"""Runs a comparison: all arms of a problem together, as many problems at a time as keep the engine full."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from app.compare.about import about
from app.compare.arms import Arms, PendingRequest
from app.compare.folder import RunFolder
from app.compare.outcome import LatencySample, Outcome
from app.compare.problem_sets.problem import Problem
from app.compare.problems import Allowance, problem_set_of
from app.compare.prompts import Prompts
from app.compare.rejudging import was_not_judged, with_verdict
from app.compare.served_model import LentModels
from app.compare.spec import Arm, ComparisonSpec
from app.errors import ComparisonFolderError

_LOOK_SECONDS = 0.2
"""How often a run looks whether it was cancelled, while nothing else happens."""

Key = tuple[str, str]


class Comparison:
    """A comparison on engines that are running, in the background of whatever else they do."""

    def __init__(self, models: LentModels, spec: ComparisonSpec, allowance: Allowance | None = None) -> None:
        """Draw the problems, and ask the engines whether they would take every arm and every problem.

        allowance: what it may do on this machine; as little as over HTTP if None.

        Raises:
            RequestError: one would not; the message names the arm or the problem, and what is wrong with it.
        """
        self.spec = spec
        self._models = models
        self._problem_set = problem_set_of(spec, models.of_corpus, allowance)
        with closing(self._problem_set):
            drawn = self._problem_set.draw()
            examples = self._problem_set.examples()
        prompts = {
            name: Prompts(spec, model.checkpoint.tokenizer, examples)
            for name, model in models.by_name.items()
        }
        first = next(iter(prompts.values()))
        self.problems = [first.written(problem) for problem in drawn]
        self._arms = Arms(models, spec, self._problem_set, prompts)
        self._arms.check(self.problems)
        self._rows = min(model.engine.limits.max_rows for model in models.by_name.values())

    @property
    def total(self) -> int:
        """Outcomes of the whole comparison."""
        return len(self.problems) * len(self.spec.arms)

    def folder(self, path: Path, *, must_exist: bool = False) -> RunFolder:
        """Its folder, made if there is none, unless it `must_exist`.

        Raises:
            ComparisonFolderError: it cannot be used, or was begun on something else.
        """
        ran_on = about(self.spec, self._models)
        return RunFolder.create_or_resume(path, self.spec, ran_on, self.problems, must_exist=must_exist)

    def run(
        self,
        folder: RunFolder,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        on_latency: Callable[[LatencySample], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Compute what the folder lacks. Blocks; not for a thread that runs an event loop.

        on_outcome, on_latency: called with what has just been written to the folder.
        cancelled: asked often; once it says so, what is under way is dropped.

        Returns:
            Whether the comparison is complete: False if it was cancelled.

        Raises:
            ComparisonFailedError: an arm failed on a problem; the outcomes before that are in the folder.
            ComparisonFolderError: the folder cannot be written, was taken away, or is of other problems.
            EngineStoppedError: the engine was stopped.
        """
        self._require_same_problems(folder)

        def keep(outcome: Outcome) -> None:
            folder.append(outcome)
            on_outcome(outcome)

        def keep_latency(sample: LatencySample) -> None:
            folder.append_latency(sample)
            on_latency(sample)

        def stopped() -> bool:
            folder.require_in_place()
            return cancelled()

        async def everything() -> bool:
            solved = await self._solve({each.key for each in folder.outcomes}, keep, stopped)
            return solved and await self._measure(
                {each.key for each in folder.latency}, keep_latency, stopped
            )

        with closing(self._problem_set):
            self._judge_again(folder)
            return asyncio.run(everything())

    def _judge_again(self, folder: RunFolder) -> None:
        """Ask the judge once more where it failed in an earlier run; the texts are not written anew."""
        if not any(map(was_not_judged, folder.outcomes)):
            return
        problems = {problem.id: problem for problem in self.problems}
        folder.replace_outcomes(
            with_verdict(each, self._problem_set.judge(problems[each.problem], each.text))
            if was_not_judged(each)
            else each
            for each in folder.outcomes
        )

    async def _solve(
        self, have: set[Key], keep: Callable[[Outcome], None], cancelled: Callable[[], bool]
    ) -> bool:
        """Compute the outcomes that are missing, and keep each as soon as it is there."""
        missing = deque(self._missing(have))
        under_way: dict[asyncio.Task[Outcome], PendingRequest] = {}
        try:
            while not cancelled():
                while missing and self._has_room(len(under_way), len(missing[0])):
                    for problem, arm in missing.popleft():
                        asked = self._arms.ask(problem, arm)
                        under_way[asyncio.create_task(self._arms.outcome(asked))] = asked
                if not under_way:
                    return True
                done, _ = await asyncio.wait(
                    under_way, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    del under_way[task]
                # A task that failed raises here, so the others of its time are kept first.
                for task in sorted(done, key=lambda each: each.exception() is not None):
                    keep(task.result())
            return False
        finally:
            for task, asked in under_way.items():
                asked.stream.cancel()
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _measure(
        self, have: set[Key], keep: Callable[[LatencySample], None], cancelled: Callable[[], bool]
    ) -> bool:
        """Let the arms solve the first problems once more, one request at a time."""
        for problem in self.problems[: self.spec.latency_problems]:
            missing = [arm for arm in self.spec.arms if (problem.id, arm.name) not in have]
            for name in dict.fromkeys(arm.model for arm in missing):
                await self._arms.warm_up(problem, name)
            for arm in missing:
                if cancelled():
                    return False
                keep(await self._arms.sample(problem, arm))
        return True

    def _missing(self, have: set[Key]) -> Iterator[list[tuple[Problem, Arm]]]:
        """What is still to be asked, problem by problem."""
        for problem in self.problems:
            arms = [arm for arm in self.spec.arms if (problem.id, arm.name) not in have]
            if arms:
                yield [(problem, arm) for arm in arms]

    def _require_same_problems(self, folder: RunFolder) -> None:
        """Another version of a generator draws other problems under the same spec and the same ids."""
        answers = {problem.id: problem.answer for problem in self.problems}
        for outcome in folder.outcomes:
            if outcome.problem not in answers or answers[outcome.problem] != outcome.expected:
                raise ComparisonFolderError(
                    f"{folder.path} has outcomes of a problem {outcome.problem!r} with the answer "
                    f"{outcome.expected!r}, which is not drawn now; the problem set is another than when the "
                    "run was begun. Go on with the version of then, or choose another folder."
                )

    def _has_room(self, under_way: int, more: int) -> bool:
        """Whether to ask more requests beside those under way.

        Arms of a problem begin together: as long as they write the same, the engine computes it once. A
        single one is asked before there is room, so that the engine has it before we hear of the last.
        """
        if more == 1:
            return under_way <= self._rows * 5 // 4
        return under_way == 0 or under_way + more <= self._rows
