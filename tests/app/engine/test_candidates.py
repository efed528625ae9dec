"""Candidates: the likeliest next tokens, read as if they had been drawn, against a fresh prefill."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.signals import SIGNALS
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.decoding.strategies.base import Runnable
from app.engine.drawing import likeliest
from app.engine.engine import Engine
from app.errors import StrategyError
from tests.app.engine.tiny import Result, ask, collect, fresh_logprobs, tiny_engine

PROMPT = (3, 1, 4, 1, 5)


@dataclass(frozen=True)
class Looking:
    """Takes the candidate of this rank at every position, in a fork each time."""

    rank: int = 0
    count: int = 5
    needs: frozenset[str] = frozenset({"entropy", "surprisal"})

    async def decode(self, sequence: Sequence) -> Sequence:
        while not sequence.finished:
            found = await sequence.candidates(self.count)
            (sequence,) = sequence.fork(1)
            sequence.take(found[min(self.rank, len(found) - 1)])
        return sequence


def run(engine: Engine, strategy: Runnable | None = None, **rest: Any) -> Result:
    return collect(engine.submit(ask(PROMPT, strategy or Greedy(), **rest)))


@pytest.fixture
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def test_the_first_candidate_is_the_greedy_token(engine: Engine) -> None:
    assert run(engine, Looking()).only.ids == run(engine).only.ids
    assert run(engine, Looking(count=1)).only.ids == run(engine).only.ids


@pytest.mark.parametrize("rank", [1, 4])
def test_candidates_are_those_of_a_fresh_prefill(engine: Engine, rank: int) -> None:
    tokens = run(engine, Looking(rank)).only.tokens
    for index, token in enumerate(tokens):
        logprobs = fresh_logprobs([*PROMPT, *(each.id for each in tokens[:index])])
        values, ids = logprobs.topk(5)
        assert token.id == int(ids[rank])
        assert token.logprob == pytest.approx(float(values[rank]), abs=1e-4)
        assert token.signals["surprisal"] == pytest.approx(-token.logprob, abs=1e-4)
        entropy = -(logprobs.exp() * logprobs).sum()
        assert token.signals["entropy"] == pytest.approx(float(entropy), abs=1e-4)
    assert set(tokens[0].signals) <= set(SIGNALS)


def test_penalties_and_bias_order_them_and_what_is_ruled_out_is_no_candidate(engine: Engine) -> None:
    favoured = SamplingParams(logit_bias={77: 100.0})
    first = run(engine, Looking(), sampling=favoured).only.tokens[0]
    assert first.id == 77
    assert first.logprob == pytest.approx(float(fresh_logprobs(list(PROMPT))[77]), abs=1e-4)


def test_a_look_costs_one_token_and_taking_costs_nothing(engine: Engine) -> None:
    before = engine.stats()
    result = run(engine, Looking(1), max_tokens=9)
    after = engine.stats()
    assert result.usage is not None
    assert result.usage.completion_tokens == 9
    assert result.usage.discarded_tokens == 0
    assert after.forward_rows - before.forward_rows == 9
    assert after.drawn_tokens - before.drawn_tokens == 9


def test_rows_that_look_and_rows_that_draw_do_not_disturb_each_other(engine: Engine) -> None:
    alone = [run(engine, Looking(2), seed=1), run(engine, seed=2)]
    together = [engine.submit(ask(PROMPT, Looking(2) if index % 2 == 0 else Greedy())) for index in range(8)]
    for index, stream in enumerate(together):
        assert collect(stream).only.ids == alone[index % 2].only.ids


class Both:
    """Looks and draws at the same position in two branches."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        (other,) = sequence.fork(1)

        async def draw() -> int:
            return (await other.next(SamplingParams(temperature=0.0))).id

        async def look() -> int:
            found: tuple[Token, ...] = await sequence.candidates(3)
            sequence.take(found[0])
            return found[0].id

        drawn, looked = await gather(draw(), look())
        sequence.record("same", {"same": int(drawn == looked)})
        return sequence


class Declines:
    """Writes and then gives no answer."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.extend(max_tokens=5)
        sequence.decline("doubt", {"risk": 0.5})
        return sequence


def test_branches_may_look_and_draw_side_by_side(engine: Engine) -> None:
    result = collect(engine.submit(ask(PROMPT, Both())))
    assert result.only.events[0].detail == {"same": 1}


def test_an_answer_that_is_declined_is_empty_and_all_of_it_is_discarded(engine: Engine) -> None:
    result = collect(engine.submit(ask(PROMPT, Declines())))
    answer = result.only
    assert answer.done is not None
    assert (answer.done.finish_reason, answer.done.stop_reason) == ("abstain", "doubt")
    assert (answer.text, answer.ids) == ("", [])
    assert answer.events[-1].rule == "abstain"
    assert answer.events[-1].detail == {"discarded": 5, "reason": "doubt", "risk": 0.5}
    assert result.usage is not None
    assert (result.usage.completion_tokens, result.usage.discarded_tokens) == (0, 5)


class Wrong:
    """Asks for no candidates at all."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.candidates(0)
        return sequence


def test_a_look_at_nothing_is_refused(engine: Engine) -> None:
    error = collect(engine.submit(ask(PROMPT, Wrong()))).error
    assert isinstance(error, StrategyError)
    assert "candidates(0)" in str(error)


def test_of_equals_the_lowest_id_comes_first() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0, 2.0]])
    ids, values = likeliest(logits, 4)
    assert ids.tolist() == [[1, 2, 3, 4]]
    assert values.tolist() == [[3.0, 3.0, 2.0, 2.0]]
    assert likeliest(torch.zeros(1, 9), 1)[0].tolist() == [[0]]
