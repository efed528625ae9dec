"""Puts problems to the arms of a comparison, and makes outcomes of what comes back."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

from app.compare.outcome import LatencySample, Outcome, OutcomeToken
from app.compare.problem_sets.problem import Problem, ProblemSet, Verdict
from app.compare.prompts import Prompts
from app.compare.rejudging import with_verdict
from app.compare.served_model import LentModels
from app.compare.spec import Arm, ComparisonSpec
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import GenerationRequest, StreamItem, TokenOut
from app.errors import (
    ComparisonFailedError,
    DemurError,
    EngineStoppedError,
    ParameterError,
    RequestError,
    UnfitError,
)
from app.measure.asking import Answer, collect
from models.corpora.registry import corpus_named, corpus_of


@dataclass(frozen=True)
class PendingRequest:
    """A request that is under way. submitted: by `perf_counter`."""

    problem: Problem
    arm: str
    stream: Stream
    submitted: float


class Arms:
    """The arms of a comparison, each on its model. Their requests run in the background of all others."""

    def __init__(
        self,
        models: LentModels,
        spec: ComparisonSpec,
        problem_set: ProblemSet,
        prompts: Mapping[str | None, Prompts],
    ) -> None:
        """
        Args:
            prompts: by the names of the models.
        """
        self._models = models
        self._spec = spec
        self._problem_set = problem_set
        self._prompts = prompts
        self._plain = Greedy()

    def check(self, problems: Sequence[Problem]) -> None:
        """Raise for what the engine would refuse, before it has worked for hours.

        Raises:
            ParameterError: names the problem or the arm, and what is wrong with it.
        """
        for name in self._spec.models:
            if any(arm.model == name for arm in self._spec.arms):
                self._check_problems(problems, name)
        for place, arm in enumerate(self._spec.arms):
            own_prompts = problems if arm.template is not None else problems[:1]
            try:
                self._require_truth(arm)
                for problem in own_prompts:
                    self._engine(arm.model).check(self._request(problem, arm))
            except RequestError as error:
                # What a strategy reads is checked as if the request had asked for it.
                field = "strategy" if error.param in (None, "signals") else error.param
                where = f"arms[{place}].{field.removeprefix(f'arms[{place}].')}"
                raise ParameterError(
                    f"arm {arm.name!r}: {error.message}", param=where, code=error.code
                ) from error

    def _check_problems(self, problems: Sequence[Problem], name: str | None) -> None:
        """Raise `RequestError` for a prompt that a model would refuse, or signals that it lacks."""
        whose = "" if name is None else f"model {name!r}: "
        for problem in problems:
            try:
                self._engine(name).check(self._plainly(problem, name))
            except RequestError as error:
                where = "" if error.param != "prompt" else f"problem {problem.id!r}: "
                raise ParameterError(
                    f"{whose}{where}{error.message}",
                    param="problems" if where else error.param,
                    code=error.code,
                ) from error

    def _require_truth(self, arm: Arm) -> None:
        """Raise `UnfitError` for a strategy that would be told what another corpus finds wrong."""
        if not arm.strategy.told_the_truth:
            return
        asked = corpus_of(self._models.of_corpus.card)
        own = corpus_of(self._models.of(arm).checkpoint.card) or corpus_named()
        if asked is not None and own.name != asked.name:
            raise UnfitError(
                f"its strategy is told what is wrong by the checker of its model's corpus, {own.name}, and "
                f"the problems are of {asked.name}; give it a model of that corpus, or leave it out.",
                param="strategy",
            )

    def ask(self, problem: Problem, arm: Arm) -> PendingRequest:
        """Let an arm begin with a problem.

        Raises:
            EngineStoppedError: the engine was stopped.
        """
        request = self._request(problem, arm)
        submitted = perf_counter()
        return PendingRequest(problem, arm.name, self._engine(arm.model).submit(request), submitted)

    async def outcome(self, asked: PendingRequest) -> Outcome:
        """What becomes of it.

        Raises:
            ComparisonFailedError: it failed.
            EngineStoppedError: the engine was stopped.
        """
        items = await asked.stream.collect_async()
        seconds = perf_counter() - asked.submitted
        answer = _answer(asked, items)
        tokens = _tokens(items, answer, self._spec.signals) if self._spec.signals else None
        # A judge may take seconds, and search or wait; what is under way goes on meanwhile.
        verdict = await asyncio.to_thread(self._problem_set.judge, asked.problem, answer.text)
        return self._outcome(asked, answer, verdict, seconds, tokens)

    async def sample(self, problem: Problem, arm: Arm) -> LatencySample:
        """How long an arm takes for a problem now. Raises what `outcome` does."""
        asked = self.ask(problem, arm)
        items: list[StreamItem] = []
        try:
            async for item in asked.stream:
                items.append(item)
                if isinstance(item, TokenOut):
                    break
            first = perf_counter() - asked.submitted
            items += await asked.stream.collect_async()
            seconds = perf_counter() - asked.submitted
        finally:
            asked.stream.cancel()
        _answer(asked, items)
        return LatencySample(
            problem=problem.id, arm=arm.name, latency_s=round(seconds, 6), first_token_s=round(first, 6)
        )

    async def warm_up(self, problem: Problem, name: str | None) -> None:
        """Have the prompt in a model's cache, so that no arm finds it there only because of another."""
        stream = self._engine(name).submit(self._plainly(problem, name, max_tokens=1))
        try:
            await stream.collect_async()
        finally:
            stream.cancel()

    def _request(self, problem: Problem, arm: Arm) -> GenerationRequest:
        spec = self._spec
        ids = self._prompts[arm.model].ids(problem, arm)
        stop_ids = spec.stop_token_ids if arm.stop_token_ids is None else arm.stop_token_ids
        stopping = StoppingParams(
            max_tokens=arm.max_tokens or spec.max_tokens or self._room(arm.model, ids),
            stop=tuple(spec.stop if arm.stop is None else arm.stop),
            stop_token_ids=tuple(stop_ids),
        )
        return GenerationRequest(
            prompt_ids=ids,
            strategy=arm.strategy,
            sampling=arm.sampling,
            stopping=stopping,
            seed=problem.seed,
            signals=tuple(spec.signals),
            background=True,
        )

    def _plainly(
        self, problem: Problem, name: str | None, max_tokens: int | None = None
    ) -> GenerationRequest:
        """The prompt that most arms of a model get, with the plainest of strategies."""
        ids = self._prompts[name].ids(problem)
        return GenerationRequest(
            prompt_ids=ids,
            strategy=self._plain,
            sampling=SamplingParams(),
            stopping=StoppingParams(max_tokens or self._spec.max_tokens or self._room(name, ids)),
            seed=problem.seed,
            signals=tuple(self._spec.signals),
            background=True,
        )

    def _engine(self, name: str | None) -> Engine:
        return self._models.by_name[name].engine

    def _room(self, name: str | None, ids: Sequence[int]) -> int:
        """Tokens that a model's context holds after a prompt."""
        return max(1, self._engine(name).context_length - len(ids))

    @staticmethod
    def _outcome(
        asked: PendingRequest,
        answer: Answer,
        verdict: Verdict,
        seconds: float,
        tokens: list[OutcomeToken] | None,
    ) -> Outcome:
        problem, usage = asked.problem, answer.usage
        abstained = answer.done.finish_reason == "abstain"
        computed = usage.completion_tokens + usage.discarded_tokens
        unjudged = Outcome(
            problem=problem.id,
            group=problem.group,
            arm=asked.arm,
            seed=problem.seed,
            correct=None,
            answer=None,
            expected=problem.answer,
            solved=None,
            first_error=None,
            finish_reason=answer.done.finish_reason,
            abstained=abstained,
            text=answer.text,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            discarded_tokens=usage.discarded_tokens,
            forward_rows=usage.prompt_tokens + computed - 1 if computed else 0,
            events=len(answer.done.events),
            latency_s=round(seconds, 6),
            tokens=tokens,
        )
        return with_verdict(unjudged, verdict)


def _answer(asked: PendingRequest, items: Sequence[StreamItem]) -> Answer:
    try:
        return collect(items)
    except EngineStoppedError:
        raise
    except DemurError as error:
        raise ComparisonFailedError(
            f"arm {asked.arm!r} failed on problem {asked.problem.id!r}: {error} The outcomes before that are "
            "kept; run the comparison again to go on from there, or leave the arm out."
        ) from error


def _tokens(items: Sequence[StreamItem], answer: Answer, signals: Sequence[str]) -> list[OutcomeToken]:
    """The text's tokens with the signals that were asked for, where they are numbers; strategies may have
    read others. The pieces are the whole text: what came out last belongs to the last token."""
    out = [item for item in items if isinstance(item, TokenOut) and not item.ends]
    rest = [""] * (len(out) - 1) + [answer.done.text]
    return [
        OutcomeToken(
            text=item.text + more,
            signals={
                name: value
                for name in signals
                # What a strategy forces may be impossible to the model, whose surprisal is infinite then.
                if (value := item.token.signals.get(name)) is not None and isfinite(value)
            },
        )
        for item, more in zip(out, rest, strict=False)
    ]
