"""Tokens that a strategy puts into its text: what the model thought of them is read, not made up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from tests.app.engine.tiny import END, TinyCheckpoint, ask, collect, fresh_logprobs, tiny_model

FORCED = (65, 257, 7)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=8)) as engine:
        yield engine


@dataclass(frozen=True)
class Forcing:
    """Draws some tokens, forces others, and goes on, in two branches at once."""

    forced: tuple[int, ...] = FORCED
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.extend(max_tokens=3)
        (other,) = sequence.fork()

        async def force() -> None:
            span = await sequence.force(self.forced)
            assert sequence.tokens[span.start : span.end] == list(span.tokens)

        await gather(force(), other.extend(max_tokens=5))
        await sequence.extend()
        return sequence


def test_a_forced_token_has_the_models_own_numbers_and_a_mark(engine: Engine) -> None:
    asked = ask(strategy=Forcing(), signals=("entropy", "surprisal"), top_logprobs=3)
    result = collect(engine.submit(asked))
    assert [token.id for token in result.only.tokens if token.forced] == list(FORCED)
    assert [token.forced for token in result.only.tokens] == [3 <= index < 6 for index in range(12)]
    ids = list(asked.prompt_ids)
    for token in result.only.tokens:
        fresh = fresh_logprobs(ids)
        assert token.logprob == pytest.approx(float(fresh[token.id]), abs=1e-4)
        assert token.signals["surprisal"] == pytest.approx(-token.logprob)
        assert token.signals["entropy"] == pytest.approx(float(-(fresh.exp() * fresh).sum()), abs=1e-4)
        assert [each.token_id for each in token.top] == fresh.topk(3).indices.tolist()
        ids.append(token.id)


def test_what_was_forced_is_billed_as_what_was_drawn(engine: Engine) -> None:
    before = engine.stats()
    result = collect(engine.submit(ask(strategy=Forcing())))
    after = engine.stats()
    assert result.usage is not None
    assert (result.usage.completion_tokens, result.usage.discarded_tokens) == (12, 5)
    assert after.forward_rows - before.forward_rows == 17
    assert [(event.position, event.rule, event.detail) for event in result.only.events] == [
        (3, "force", {"forced": 3})
    ]


def test_a_forced_end_token_ends_the_text(engine: Engine) -> None:
    result = collect(engine.submit(ask(strategy=Forcing((65, END, 66)), ignore_eos=False, seed=3)))
    tokens = result.only.tokens
    assert [token.id for token in tokens[-2:]] == [65, END]
    assert tokens[-1].forced
    assert math.isfinite(tokens[-1].logprob)


def test_choices_are_numbered_for_their_strategies(engine: Engine) -> None:
    seen: list[int] = []

    class Noting:
        needs: frozenset[str] = frozenset()

        async def decode(self, sequence: Sequence) -> Sequence:
            (child,) = sequence.fork()
            seen.append(child.choice)
            return sequence

    request = GenerationRequest((1, 2), Noting(), SamplingParams(), StoppingParams(4), n=3)
    assert len(collect(engine.submit(request)).choices) == 3
    assert seen == [0, 1, 2]
    assert collect(engine.submit(ask(strategy=Greedy(), n=2))).error is None
