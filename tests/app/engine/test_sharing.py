"""Texts that are the same so far are computed once, and nobody can tell from the answers."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample
from app.engine.loop import DecodingLoop
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.errors import ModelFailureError
from models.decoder import Decoder, SlotCache
from tests.app.engine.faulty import Faulty
from tests.app.engine.tiny import (
    Result,
    TinyCheckpoint,
    ask,
    collect,
    fresh_logprobs,
    tiny_engine,
    tiny_model,
)

GREEDY = Greedy()


@torch.inference_mode()
def decode(requests: Items[GenerationRequest], model: Any = None, **limits: Any) -> tuple[list[Result], Any]:
    """Answers to requests that all begin in the same tick, and the counters afterwards."""
    loop = DecodingLoop(TinyCheckpoint(model or tiny_model()), EngineLimits(**limits))
    streams = [Stream(lambda _: None) for _ in requests]
    finish(loop, requests, streams)
    return [collect(stream) for stream in streams], loop.counters


@torch.inference_mode()
def finish(loop: DecodingLoop, requests: Items[GenerationRequest], streams: Items[Stream]) -> None:
    """Decode requests that all begin in the same tick."""
    for request, stream in zip(requests, streams, strict=True):
        loop.submit(request, stream)
    while not loop.idle:
        loop.tick()


def alone(request: GenerationRequest) -> list[int]:
    (result,), _ = decode([request])
    return result.only.ids


@pytest.mark.parametrize("max_rows", [1, 3, 16])
def test_the_same_text_is_computed_once(max_rows: int) -> None:
    requests = [ask(strategy=GREEDY, max_tokens=20, seed=seed) for seed in range(5)]
    results, counters = decode(requests, max_rows=max_rows)
    assert {tuple(result.only.ids) for result in results} == {tuple(alone(requests[0]))}
    assert counters.forward_rows == 5 * 20
    if max_rows == 16:
        assert counters.shared_rows == 4 * 20
        assert counters.prefill_tokens == len(requests[0].prompt_ids)
        assert counters.forward_passes == 20
        assert counters.batch_sizes == {1: 20}


def test_texts_that_part_go_on_from_what_they_shared() -> None:
    """Cold draws agree for a while; afterwards every row has a cache of its own that is right."""
    cold = SamplingParams(temperature=0.3)
    requests = [
        ask(sampling=cold, strategy=strategy, max_tokens=30, seed=seed, top_logprobs=4)
        for seed in range(6)
        for strategy in (Sample(), GREEDY)
    ]
    results, counters = decode(requests, max_rows=16)
    assert len({tuple(result.only.ids) for result in results}) > 3
    assert 12 * 30 / 4 < counters.shared_rows < 12 * 30
    for request, result in zip(requests, results, strict=True):
        assert result.only.ids == alone(request)
        ids = list(request.prompt_ids)
        for token in result.only.tokens:
            fresh = fresh_logprobs(ids)
            assert token.logprob == pytest.approx(float(fresh[token.id]), abs=1e-4)
            assert [each.token_id for each in token.top] == fresh.topk(4).indices.tolist()
            ids.append(token.id)


@dataclass
class Twins:
    """Two branches that write the same; then the first is rewound and goes another way."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        cold = SamplingParams(temperature=0.0)
        first, second = sequence.fork(2)
        await gather(first.extend(max_tokens=6, sampling=cold), second.extend(max_tokens=6, sampling=cold))
        first.rewind(3, "again")
        await first.force([70])
        await gather(first.extend(max_tokens=6, sampling=cold), second.extend(max_tokens=6, sampling=cold))
        return first


def test_a_rewind_of_one_leaves_the_other_alone() -> None:
    (result,), counters = decode([ask(strategy=Twins(), max_tokens=30)], max_rows=4)
    assert counters.shared_rows == 6
    ids = list(ask().prompt_ids)
    for token in result.only.tokens:
        if not token.forced:
            assert token.id == int(fresh_logprobs(ids).argmax())
        ids.append(token.id)
    assert counters.forward_rows == 6 + 6 + 1 + 6 + 6


def test_rows_that_cost_nothing_are_not_counted_against_the_batch() -> None:
    requests = [ask([which, 7], GREEDY, max_tokens=8) for which in (1, 1, 1, 1, 2, 2, 2, 2)]
    results, counters = decode(requests, max_rows=8)
    assert counters.batch_sizes == {2: 8}
    assert [result.only.ids for result in results] == [alone(request) for request in requests]


@pytest.mark.parametrize("call", [1, 5])
def test_a_pass_that_fails_fails_all_who_would_have_shared_it(call: int) -> None:
    requests = [ask(strategy=GREEDY, seed=seed) for seed in range(3)]
    results, counters = decode(requests, Faulty({call}), max_rows=4)
    for result in results:
        assert isinstance(result.error, ModelFailureError)
        assert "out of memory" in str(result.error)
    assert counters.failed == 3


def test_what_a_client_is_billed_does_not_depend_on_sharing() -> None:
    with tiny_engine(max_rows=16) as engine:
        together = collect(engine.submit(ask(strategy=GREEDY, n=6)))
        stats = engine.stats()
    assert together.usage is not None
    assert together.usage.completion_tokens == 6 * 12 == stats.forward_rows == stats.drawn_tokens
    assert stats.shared_rows == 5 * 12


def test_a_prompt_that_another_request_computes_in_the_same_pass_is_cached() -> None:
    requests = [ask(range(1, 31), Sample(), max_tokens=4, seed=seed) for seed in range(3)]
    results, counters = decode(requests, max_rows=4)
    assert [result.usage and result.usage.cached_tokens for result in results] == [0, 29, 29]
    assert counters.cached_prompt_tokens == 58
    assert counters.prefill_tokens == 30


@dataclass
class Racing:
    """Two branches that note which of them was resumed first."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        branches = sequence.fork(2)

        async def write(number: int) -> None:
            branch = branches[number]
            while not branch.finished:
                await branch.next()
                branch.record("resumed", {"number": number})

        await gather(write(0), write(1))
        return branches[0]


def test_branches_are_resumed_in_the_same_order_in_any_company() -> None:
    racing = ask(strategy=Racing(), max_tokens=8, seed=3)
    (lonely,), _ = decode([racing])
    for company in (GREEDY, Sample()):
        (_, accompanied), counters = decode([ask(strategy=company, max_tokens=8, seed=3), racing])
        assert accompanied.only.events == lonely.only.events
        assert counters.shared_rows


class NoCopies(SlotCache):
    """A cache that has no memory left for a copy after some."""

    left = 5

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        if self.left == 0:
            self.keys[:, target, :, start:end] = 50.0
            raise MemoryError("no memory left")
        self.left -= 1
        super().copy(source, target, start, end)


class Copying(Decoder):
    """The tiny model over `NoCopies`."""

    def __init__(self) -> None:
        vars(self).update(vars(tiny_model()))

    def new_cache(self, slots: int, length: int) -> SlotCache:
        cache = super().new_cache(slots, length)
        cache.__class__ = NoCopies
        return cache


def test_a_copy_that_fails_fails_its_own_request_and_is_not_used_again() -> None:
    requests = [ask(range(1, 31), GREEDY, max_tokens=10, seed=seed) for seed in range(2)]
    loop = DecodingLoop(TinyCheckpoint(Copying()), EngineLimits(max_rows=2))
    first, second, third = (Stream(lambda _: None) for _ in range(3))
    finish(loop, requests, [first, second])
    finish(loop, requests[:1], [third])
    assert collect(first).only.ids == alone(requests[0])
    assert isinstance(collect(second).error, ModelFailureError)
    assert collect(third).only.ids == alone(requests[0])
