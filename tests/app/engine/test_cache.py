"""The cache after any mix of forks, rewinds and forced tokens holds what a fresh prefill would."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from models.language_model import LanguageModel
from tests.app.engine.tiny import VOCABULARY, ask, collect, fresh_logprobs, tiny_engine

Operation = tuple[str, int, int]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["next", "next", "fork", "rewind", "force", "drop", "together"]),
        st.integers(0, 7),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=18,
)


@dataclass
class Program:
    """A strategy that does what it is told and notes after what each token was drawn or forced."""

    operations: list[Operation]
    needs: frozenset[str] = frozenset()
    drawn: list[tuple[list[int], Token]] = field(default_factory=list[tuple[list[int], Token]])

    async def decode(self, sequence: Sequence) -> Sequence:
        alive = [sequence]
        for name, which, amount in self.operations:
            each = alive[which % len(alive)]
            match name:
                case "next":
                    await self.draw(each, amount)
                case "fork":
                    alive.extend(each.fork(amount))
                case "rewind":
                    each.rewind(max(0, each.position - amount), "told to")
                case "force" if not each.finished:
                    before = list(each.context.ids)
                    ids = [(which * 37 + i) % len(VOCABULARY) for i in range(amount)]
                    for token in (await each.force(ids)).tokens:
                        self.drawn.append((list(before), token))
                        before.append(token.id)
                case "drop" if len(alive) > 1:
                    alive.remove(each)
                case "together":
                    await gather(*(self.draw(branch, amount) for branch in alive))
                case _:
                    pass
        return alive[0]

    async def draw(self, sequence: Sequence, amount: int) -> None:
        for _ in range(amount):
            if not sequence.finished:
                before = list(sequence.context.ids)
                self.drawn.append((before, await sequence.next()))


# A fork whose parent has written something else since, when its turn comes.
LATE_FORK = [("next", 0, 4), ("fork", 0, 1), ("rewind", 0, 3), ("next", 0, 4), ("next", 1, 2)]


@settings(max_examples=60)
@given(operations=OPERATIONS, max_rows=st.sampled_from([1, 2, 3, 16]), seed=st.integers(0, 100))
@example(operations=LATE_FORK, max_rows=16, seed=0)
def test_every_distribution_is_that_of_a_fresh_prefill(
    model: LanguageModel[Any], operations: list[Operation], max_rows: int, seed: int
) -> None:
    program = Program(operations)
    with tiny_engine(model, max_rows=max_rows, max_top_logprobs=len(VOCABULARY)) as engine:
        request = ask(
            range(1, 25),
            program,
            SamplingParams(temperature=2.0),
            20,
            seed=seed,
            top_logprobs=len(VOCABULARY),
        )
        result = collect(engine.submit(request))
        stats = engine.stats()
    assert result.error is None
    for before, token in program.drawn:
        read = torch.empty(len(VOCABULARY))
        read[[each.token_id for each in token.top]] = torch.tensor([each.logprob for each in token.top])
        torch.testing.assert_close(read, fresh_logprobs(before), atol=1e-4, rtol=0)
    # Every token, drawn or forced, is one row of a forward pass, and every one is accounted for.
    assert stats.forward_rows == stats.drawn_tokens == len(program.drawn)
    assert result.usage is not None
    assert result.usage.completion_tokens + result.usage.discarded_tokens == len(program.drawn)
    assert stats.discarded_tokens == result.usage.discarded_tokens


def test_n_choices_prefill_their_prompt_once() -> None:
    with tiny_engine(max_rows=8) as engine:
        result = collect(engine.submit(ask(range(1, 41), n=20, max_tokens=3)))
        stats = engine.stats()
    assert len(result.choices) == 20
    assert stats.prefill_tokens == 40
    assert stats.forward_rows == 60


def test_requests_with_the_same_prompt_share_its_prefill() -> None:
    with tiny_engine() as engine:
        first = collect(engine.submit(ask(range(1, 41), max_tokens=3)))
        second = collect(engine.submit(ask(range(1, 41), max_tokens=3)))
        longer = collect(engine.submit(ask([*range(1, 41), 7, 8], max_tokens=3)))
        stats = engine.stats()
    assert [each.usage and each.usage.cached_tokens for each in (first, second, longer)] == [0, 39, 40]
    assert second.only.ids == first.only.ids
    assert stats.prefill_tokens == 40 + 2
    assert stats.cached_prompt_tokens == 79


@pytest.mark.parametrize("limit", [1, 10, 1000])
def test_a_limit_on_prefill_delays_prompts_but_loses_none(limit: int) -> None:
    with tiny_engine(max_prefill_tokens=limit) as engine:
        streams = [engine.submit(ask(range(i, i + 9), max_tokens=4, seed=i)) for i in range(1, 7)]
        texts = [collect(stream).only.ids for stream in streams]
    with tiny_engine() as engine:
        alone = [
            collect(engine.submit(ask(range(i, i + 9), max_tokens=4, seed=i))).only.ids for i in range(1, 7)
        ]
    assert texts == alone
