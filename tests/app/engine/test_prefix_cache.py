"""What ended texts leave to later requests: less to compute, the same answers, and no more than a bound."""

from collections.abc import Sequence as Items
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import ConfidenceVoting, Greedy, SelfConsistency
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.loop import SPARE_SLOTS, DecodingLoop
from app.engine.slots import MIN_SHARED_PREFIX
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.errors import ModelFailureError
from models.hub.choosing import hub_model
from models.hub.pages import PAGE
from models.hub.token_pool import Need, TokenPool
from models.language_model import LanguageModel
from models.native.native_decoder import NativeDecoder
from tests.app.engine.faulty import Faulty
from tests.app.engine.tiny import (
    END,
    VOCABULARY,
    Result,
    TinyCheckpoint,
    Wanderer,
    ask,
    collect,
    tiny_engine,
    tiny_model,
    tiny_network,
)
from tests.models.architectures import network_of
from tests.models.native.compiled import needs_native

pytestmark = pytest.mark.filterwarnings("ignore")

GREEDY = Greedy()
PROMPT = tuple(range(1, 25))
PAGES = 6
"""Of a model with a pool: what a small bound allows."""


def hub(kind: str) -> LanguageModel[Any]:
    network = network_of(kind, vocab_size=len(VOCABULARY), eos_token_id=END, pad_token_id=END)
    return hub_model(network, kind)


@pytest.fixture(scope="module")
def pooled() -> LanguageModel[Any]:
    """A model whose texts lie in pages of a pool."""
    return hub("mistral")


@pytest.fixture(scope="module", params=["pool", "row by row"])
def other_model(request: pytest.FixtureRequest, pooled: LanguageModel[Any]) -> LanguageModel[Any]:
    """Of transformers."""
    return pooled if request.param == "pool" else hub("bloom")


@pytest.fixture(
    scope="module", params=["torch", pytest.param("native", marks=needs_native), "pool", "row by row"]
)
def any_model(request: pytest.FixtureRequest, pooled: LanguageModel[Any]) -> LanguageModel[Any]:
    """One of each kind of cache."""
    match request.param:
        case "torch":
            return tiny_model()
        case "native":
            return NativeDecoder(tiny_network(), "tiny", END)
        case "pool":
            return pooled
        case _:
            return hub("bloom")


def bound(model: LanguageModel[Any], pages: int = PAGES) -> int:
    """Memory of so many pages; something where that is 0."""
    cache = model.new_cache(1, PAGE)
    return pages * cache.most_bytes


def ask_in_turn(engine: Engine, *requests: GenerationRequest) -> list[Result]:
    """Each after the one before has ended."""
    results = [collect(engine.submit(request)) for request in requests]
    assert [result.error for result in results] == [None] * len(results)
    return results


def alone(model: LanguageModel[Any], request: GenerationRequest) -> list[int]:
    return decode(loop_of(model, prefix_cache_bytes=0), request)[0].only.ids


def cached(*results: Result) -> list[int]:
    return [result.usage.cached_tokens for result in results if result.usage]


@torch.inference_mode()
def decode(loop: DecodingLoop, *requests: GenerationRequest) -> list[Result]:
    """Requests that begin in the same tick."""
    streams = [Stream(lambda _: None) for _ in requests]
    for request, stream in zip(requests, streams, strict=True):
        loop.submit(request, stream)
    while not loop.idle:
        loop.tick()
    return [collect(stream) for stream in streams]


def loop_of(model: LanguageModel[Any], **limits: Any) -> DecodingLoop:
    return DecodingLoop(TinyCheckpoint(model), EngineLimits(**limits))


# Prompts are put together from few pieces, so that they share beginnings of all lengths.
PIECES = st.lists(st.sampled_from([tuple(range(1, 19)), tuple(range(30, 40)), (7,), (8, 9)]), max_size=3)


@st.composite
def a_request(draw: st.DrawFn) -> GenerationRequest:
    return ask(
        (draw(st.integers(1, 2)), *(token for piece in draw(PIECES) for token in piece)),
        draw(st.sampled_from([None, GREEDY, Wanderer()])),
        SamplingParams(temperature=0.8),
        draw(st.sampled_from([2, 9])),
        n=draw(st.integers(1, 2)),
        cache_salt=draw(st.sampled_from(["", "", "a"])),
        top_logprobs=3,
    )


def check_answers(model: LanguageModel[Any], data: st.DataObject) -> None:
    """Whatever was asked before, and in whatever slots that left, answers are those of a server that keeps
    nothing."""
    requests = data.draw(st.lists(a_request(), min_size=1, max_size=6))
    together = data.draw(st.integers(1, 4))  # that begin in the same tick
    limits = {"max_rows": data.draw(st.sampled_from([1, 3, 16])), "max_prefill_tokens": 20}
    kept = data.draw(st.sampled_from([bound(model), 2**30]))
    loop, other = (loop_of(model, prefix_cache_bytes=each, **limits) for each in (kept, 0))
    for first in range(0, len(requests), together):
        batch = requests[first : first + together]
        for result, request in zip(decode(loop, *batch), batch, strict=True):
            compare(result, decode(other, request)[0])
        assert loop.cache.text_bytes <= kept
        assert loop.slots.free() == limits["max_rows"]


def compare(result: Result, expected: Result) -> None:
    assert (result.error, expected.error) == (None, None)
    for index, answer in result.choices.items():
        others = expected.choices[index]
        assert answer.ids == others.ids
        found = torch.tensor([token.logprob for token in answer.tokens])
        right = torch.tensor([token.logprob for token in others.tokens])
        torch.testing.assert_close(found, right, atol=1e-4, rtol=0)


@settings(max_examples=25)
@given(data=st.data())
def test_answers_are_those_of_a_server_that_keeps_nothing(
    model: LanguageModel[Any], data: st.DataObject
) -> None:
    check_answers(model, data)


@settings(max_examples=4)
@given(data=st.data())
def test_answers_are_the_same_of_other_models(other_model: LanguageModel[Any], data: st.DataObject) -> None:
    check_answers(other_model, data)


def test_the_last_token_of_a_prompt_is_always_computed(any_model: LanguageModel[Any]) -> None:
    with tiny_engine(any_model) as engine:
        results = ask_in_turn(engine, ask(PROMPT), ask(PROMPT), ask((*PROMPT, 40, 41)), ask(PROMPT[:20]))
        stats = engine.stats()
    assert cached(*results) == [0, 23, 24, 19]
    assert stats.prefill_tokens == 24 + 2
    assert (stats.prompt_tokens, stats.cached_prompt_tokens) == (24 + 24 + 26 + 20, 23 + 24 + 19)


def test_a_chat_goes_on_from_its_last_answer(any_model: LanguageModel[Any]) -> None:
    with tiny_engine(any_model) as engine:
        (first,) = ask_in_turn(engine, ask(PROMPT, max_tokens=8))
        (second,) = ask_in_turn(engine, ask((*PROMPT, *first.only.ids, 50, 51), max_tokens=2))
    assert cached(second) == [24 + 7]  # the last token that was drawn was never read


def test_what_begins_like_an_earlier_text_leaves_that_as_it_was(any_model: LanguageModel[Any]) -> None:
    """Two chats with one system prompt: neither takes from the other what only it needs."""
    with tiny_engine(any_model, max_rows=4) as engine:
        one, two = ([*PROMPT, *range(30 + 10 * chat, 38 + 10 * chat)] for chat in range(2))
        results = ask_in_turn(engine, *(ask(text, max_tokens=1) for text in (one, two, [*one, 9], [*two, 9])))
    assert cached(*results) == [0, 24, 32, 32]


def test_nobody_learns_what_others_have_asked(any_model: LanguageModel[Any]) -> None:
    request = ask(PROMPT)
    others = [replace(request, client="bob"), replace(request, cache_salt="s")]
    with tiny_engine(any_model) as engine:
        assert cached(*ask_in_turn(engine, request, *others, *others)) == [0, 0, 0, 23, 23]


@pytest.mark.parametrize("limit", [4096, 5])
def test_what_is_written_twice_is_computed_once_for_whoever_may_know_of_each_other(limit: int) -> None:
    """At once, or in pieces, of which others take over what one has read."""
    requests = [ask(PROMPT, GREEDY, client=client) for client in ("alice", "bob", "alice")]
    loop = loop_of(tiny_model(), max_prefill_tokens=limit)
    results = decode(loop, *requests)
    assert len({tuple(result.only.ids) for result in results}) == 1
    assert cached(*results) == [0, 0, 23]
    assert loop.counters.prefill_tokens == 2 * len(PROMPT)


@pytest.mark.parametrize("strategy", [SelfConsistency(), ConfidenceVoting()])
def test_branches_that_read_one_prompt_together_take_nothing_from_the_cache(strategy: Runnable) -> None:
    """One of them computes it; and what was there already is counted once, not for each branch."""
    loop = loop_of(tiny_model())
    results = [decode(loop, ask(ids, strategy))[0] for ids in (PROMPT, (*PROMPT[:20], 60, 61, 62))]
    assert cached(*results) == [0, 20]
    assert (loop.counters.prompt_tokens, loop.counters.cached_prompt_tokens) == (24 + 23, 20)


def test_nothing_is_kept_where_that_is_turned_off(any_model: LanguageModel[Any]) -> None:
    loop = loop_of(any_model, prefix_cache_bytes=0)
    results = [decode(loop, each)[0] for each in 2 * [ask(PROMPT, n=2), ask(PROMPT, Wanderer())]]
    assert cached(*results) == [0, 0, 0, 0]
    assert loop.cache.text_bytes == 0


def prompts(count: int) -> Items[GenerationRequest]:
    """Of four pages and a token each, with nothing in common."""
    return [ask(range(20 * number, 20 * number + 17), max_tokens=1) for number in range(1, count + 1)]


def test_memory_is_bounded_and_what_was_not_used_for_longest_goes_first(pooled: LanguageModel[Any]) -> None:
    first, second, third, fourth = prompts(4)  # of two pages each
    loop = loop_of(pooled, prefix_cache_bytes=bound(pooled))
    for request in (first, second, third, first, fourth):
        decode(loop, request)
        assert loop.cache.text_bytes <= bound(pooled)
    results = [decode(loop, each)[0] for each in (first, fourth, third, second)]
    assert cached(*results) == [16, 16, 16, 0]


def test_texts_that_begin_alike_count_their_beginning_once(pooled: LanguageModel[Any]) -> None:
    loop = loop_of(pooled, prefix_cache_bytes=bound(pooled, 2 + 4))
    requests = [ask((*range(1, 33), 40 + number), max_tokens=1) for number in range(4)]
    for request in requests:
        decode(loop, request)
    assert cached(*(decode(loop, each)[0] for each in requests)) == [32, 32, 32, 32]


def test_texts_are_kept_beside_full_rows(pooled: LanguageModel[Any]) -> None:
    """More of them than there are rows, and while all rows are written to."""
    requests = prompts(12)
    loop = loop_of(pooled, max_rows=2)
    assert loop.cache.slots == 2 + SPARE_SLOTS
    for request in requests:
        decode(loop, request)
    results = decode(loop, *requests)
    assert cached(*results) == 12 * [16]


def test_no_more_sequences_have_slots_than_there_are_rows(pooled: LanguageModel[Any]) -> None:
    loop = loop_of(pooled, max_rows=2)
    stream = Stream(lambda _: None)
    with torch.inference_mode():
        loop.submit(ask(PROMPT, n=5), stream)
        while not loop.idle:
            loop.tick()
            assert loop.slots.free() >= 0
    assert len(collect(stream).choices) == 5


def test_running_texts_go_before_those_that_are_kept(pooled: LanguageModel[Any]) -> None:
    (first, *_), long = prompts(1), ask(range(100, 140), max_tokens=10)
    loop = loop_of(pooled, prefix_cache_bytes=bound(pooled, 2))
    decode(loop, first)
    decode(loop, long)
    assert loop.cache.text_bytes == 0  # it is larger than the bound itself
    assert cached(*decode(loop, first)) == [0]


def test_one_text_is_kept_once() -> None:
    other, same = ask(range(100, 130), GREEDY), ask(PROMPT, GREEDY)
    with tiny_engine(max_rows=3) as engine:
        results = ask_in_turn(engine, other, *(8 * [same]), other)
    assert cached(*results) == [0, 0, *(7 * [23]), 29]


class ShortOfMemory(TokenPool):
    """A pool that there is only so much memory for."""

    pages = 5

    def reserve(self, needs: Items[Need]) -> None:
        wanted = sum(-(-need.end // PAGE) for need in needs)
        if self._pages.taken + wanted > self.pages:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        super().reserve(needs)


class Pinched:
    """A model over `ShortOfMemory`."""

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def new_cache(self, slots: int, length: int) -> Any:
        cache = self.model.new_cache(slots, length)
        cache.__class__ = ShortOfMemory
        return cache


def test_what_is_kept_goes_where_memory_is_short(pooled: LanguageModel[Any]) -> None:
    first, second, third = prompts(3)
    loop = loop_of(Pinched(pooled))  # pyright: ignore[reportArgumentType] (it hands everything on)
    results = [decode(loop, each)[0] for each in (first, second, third, first, replace(third, n=1))]
    assert [result.error for result in results] == [None] * 5
    (failed,) = decode(loop, ask(range(100, 160), max_tokens=40, n=1))  # it has no room by itself
    assert isinstance(failed.error, ModelFailureError)
    assert "can't allocate memory" in str(failed.error)
    assert decode(loop, first)[0].only.ids == results[0].only.ids


@pytest.mark.parametrize("broken_slot", [None, 0])
def test_nothing_is_kept_of_what_a_broken_pass_wrote(broken_slot: int | None) -> None:
    """It raises, or has no numbers for one row."""
    model = Faulty(set() if broken_slot is not None else {4}, broken_slot)
    loop = loop_of(model)
    (failed,) = decode(loop, ask(PROMPT))
    assert isinstance(failed.error, ModelFailureError)
    model.broken_slot = None
    (result,) = decode(loop, ask(PROMPT))
    assert cached(result) == [0]
    assert result.only.ids == alone(tiny_model(), ask(PROMPT))


@torch.inference_mode()
@pytest.mark.parametrize("ticks", [1, 2, 4, 7])
def test_who_goes_away_leaves_what_was_computed(any_model: LanguageModel[Any], ticks: int) -> None:
    """In the middle of a prompt that is read in pieces, or later."""
    request = ask(range(1, 41), max_tokens=8)
    loop = loop_of(any_model, max_prefill_tokens=18)
    stream = Stream(lambda _: None)
    loop.submit(request, stream)
    for _ in range(ticks):
        loop.tick()
    loop.cancel(stream)
    assert loop.idle
    assert loop.slots.free() == loop.slots.open() == 32
    (result,) = decode(loop, request)
    (number,) = cached(result)
    assert number == min(18 * ticks, 39) >= MIN_SHARED_PREFIX
    assert result.only.ids == alone(any_model, request)


def test_a_new_engine_begins_with_nothing(any_model: LanguageModel[Any]) -> None:
    for _ in range(2):
        with tiny_engine(any_model) as engine:
            assert cached(*ask_in_turn(engine, ask(PROMPT))) == [0]
