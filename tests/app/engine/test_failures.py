"""Strategies and models that fail: only what depends on them fails with them."""

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import pytest

from app.api.rendering import signals_out
from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.errors import (
    ModelFailureError,
    ParameterError,
    StrategyError,
)
from models.decoder import Decoder, SlotCache
from models.language_model import PrefillRow, StepOutput
from tests.app.engine.faulty import Faulty
from tests.app.engine.tiny import ask, collect, tiny_engine, tiny_model


@dataclass
class Failing:
    """A strategy that raises after some tokens, in a branch of a gather."""

    after: int
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        async def branch(each: Sequence) -> None:
            await each.extend(max_tokens=self.after)
            raise LookupError("no such thought")

        await gather(*(branch(each) for each in sequence.fork(2)))
        return sequence


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_failing_strategy_fails_its_own_request_only(after: int) -> None:
    with tiny_engine(max_rows=6) as engine:
        good = [engine.submit(ask([i, 5], seed=i, max_tokens=20)) for i in range(1, 4)]
        bad = collect(engine.submit(ask(strategy=Failing(after), n=2, max_tokens=20)))
        answers = [collect(stream).only.ids for stream in good]
        alone = [collect(engine.submit(ask([i, 5], seed=i, max_tokens=20))).only.ids for i in range(1, 4)]
        stats = engine.stats()
    assert isinstance(bad.error, StrategyError)
    assert "Failing raised LookupError" in str(bad.error)
    assert "no such thought" in str(bad.error)
    assert isinstance(bad.error.__cause__, LookupError)
    assert answers == alone
    assert (stats.requests_failed, stats.requests_finished) == (1, 6)
    assert (stats.rows_in_use, stats.active_requests) == (0, 0)


@dataclass
class ReturnsAnother:
    """A strategy that returns a sequence which is not its own."""

    foreign: list[Sequence]
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        self.foreign.append(sequence)
        return self.foreign[0]


def test_a_strategy_must_return_its_own_sequence() -> None:
    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=ReturnsAnother([]), n=2)))
    assert isinstance(result.error, StrategyError)
    assert "must return the sequence it was given" in str(result.error)


def test_a_sampling_policy_sees_the_signals_and_its_errors_reach_the_strategy() -> None:
    seen: list[float] = []

    class Policies:
        needs = frozenset({"entropy", "surprisal"})

        async def decode(self, sequence: Sequence) -> Sequence:
            def policy(signals: Any) -> SamplingParams:
                assert set(signals) == {"entropy"}
                seen.append(signals["entropy"])
                return SamplingParams(0.0, logit_bias={65: 100.0})

            def broken(_: Any) -> SamplingParams:
                return SamplingParams(logit_bias={10_000: 1.0})

            token = await sequence.next(policy)
            assert token.id == 65
            assert token.signals["entropy"] == seen[0]
            with pytest.raises(ParameterError, match="10000"):
                await sequence.next(broken)
            await sequence.next(policy)
            return sequence

    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=Policies())))
    assert result.only.text == "AA"
    assert len(seen) == 2


@pytest.mark.parametrize("call", [1, 2, 5])
def test_a_failing_forward_pass_fails_its_rows_and_the_engine_goes_on(call: int) -> None:
    with tiny_engine(Faulty({call})) as engine:
        result = collect(engine.submit(ask(range(1, 21), n=3)))
        assert isinstance(result.error, ModelFailureError)
        assert "RuntimeError: out of memory" in str(result.error)
        again = collect(engine.submit(ask(range(1, 21), n=3)))
        assert engine.stats().rows_in_use == 0
    with tiny_engine() as engine:
        expected = collect(engine.submit(ask(range(1, 21), n=3)))
    assert {i: answer.ids for i, answer in again.choices.items()} == {
        i: answer.ids for i, answer in expected.choices.items()
    }


def test_a_failing_score_fails_alone() -> None:
    with tiny_engine(Faulty({1, 2})) as engine:
        with pytest.raises(ModelFailureError, match="out of memory"):
            engine.score([1, 2])
        assert isinstance(collect(engine.submit(ask(score_prompt=True))).error, ModelFailureError)
        assert len(engine.score([1, 2])) == 1


class Overflowing(Decoder):
    """The tiny model, with one logit at the third position of a text that is no finite number."""

    def __init__(self, value: float, token_id: int) -> None:
        vars(self).update(vars(tiny_model()))
        self._value, self._token_id = value, token_id

    def extend(self, cache: SlotCache, row: PrefillRow, hidden_layers: Items[int] = ()) -> StepOutput:
        output = super().extend(cache, row, hidden_layers)
        output.logits[2, self._token_id] = self._value
        return output


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("token_id", [7, 9])  # the token that comes next, and another
def test_a_text_whose_logits_are_not_numbers_is_not_scored(value: float, token_id: int) -> None:
    text = [3, 5, 6, 7, 8]
    with tiny_engine(Overflowing(value, token_id)) as engine:
        with pytest.raises(ModelFailureError, match="not all numbers"):
            engine.score(text, ("entropy",))
        echoed = collect(engine.submit(ask(text, score_prompt=True)))
        assert isinstance(echoed.error, ModelFailureError)
        assert "not all numbers" in str(echoed.error)
        assert engine.stats().rows_in_use == 0
        assert collect(engine.submit(ask(text))).error is None


def test_a_token_of_probability_zero_is_a_measurement() -> None:
    with tiny_engine(Overflowing(-math.inf, 7)) as engine:
        tokens = engine.score([3, 5, 6, 7, 8], ("entropy",), top_logprobs=3)
    assert [token.logprob == -math.inf for token in tokens] == [False, False, True, False]
    assert all(math.isfinite(token.signals["entropy"]) for token in tokens)
    assert signals_out(Token(7, -math.inf, {"surprisal": math.inf, "entropy": 0.5})) == {
        "surprisal": None,
        "entropy": 0.5,
    }


class Forcing:
    """Puts a token into its text."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.force([7])
        return sequence


def test_a_token_is_not_forced_on_logits_that_are_not_numbers() -> None:
    with tiny_engine(Faulty(set(), broken_slot=0), max_rows=1) as engine:
        result = collect(engine.submit(ask(strategy=Forcing())))
    assert isinstance(result.error, ModelFailureError)


def test_logits_that_are_not_numbers_fail_their_own_request_only() -> None:
    with tiny_engine(Faulty(set(), broken_slot=1), max_rows=3) as engine:
        streams = [engine.submit(ask([i, i + 1], max_tokens=6)) for i in range(1, 4)]
        errors = [collect(stream).error for stream in streams]
    assert [type(error) for error in errors] == [type(None), ModelFailureError, type(None)]
