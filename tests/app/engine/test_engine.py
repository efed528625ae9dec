"""Requests from submission to end: text, limits, cancellation, failures."""

import asyncio
import threading
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from app.decoding.sequence import Sequence, gather
from app.decoding.strategies import GreedyParams
from app.decoding.types import SamplingParams
from app.engine.engine import (
    ChoiceDone,
    Engine,
    GenerationRequest,
    PromptScored,
    RequestDone,
    StreamItem,
    TokenOut,
)
from app.errors import (
    ContextLengthError,
    EngineStoppedError,
    ModelFailureError,
    OverloadedError,
    ParameterError,
    RequestError,
    StrategyError,
    UnknownNameError,
)
from models.decoder import SlotCache
from models.language_model import PrefillRow, StepOutput
from tests.app.engine.tiny import CONTEXT, END, VOCABULARY, ask, collect, tiny_engine, tiny_model


def biased(*tokens: int) -> SamplingParams:
    """Draws nothing but these tokens."""
    return SamplingParams(logit_bias=dict.fromkeys(tokens, 100.0))


# Text


def test_a_character_in_pieces_is_sent_whole() -> None:
    with tiny_engine() as engine:
        pieces = "€€".encode()
        items = list(engine.submit(ask(strategy=Script(list(pieces)), max_tokens=6)))
    texts = [item.text for item in items if isinstance(item, TokenOut)]
    assert texts == ["", "", "€", "", "", "€"]


@dataclass
class Script:
    """Writes given tokens: through the model, one by one."""

    ids: list[int]
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        for token_id in self.ids:
            if not sequence.finished:
                await sequence.next(SamplingParams(0.0, logit_bias={token_id: 100.0}))
                sequence.commit()
        return sequence


@pytest.mark.parametrize(
    ("text", "stop", "expected", "returned"),
    [
        ("hello STOP more", ("STOP",), "hello ", 6),
        ("hello STO", ("STOP",), "hello STO", 9),
        ("aab", ("ab",), "a", 1),
        ("xéy", ("é",), "x", 1),
        ("S", ("S",), "", 0),
    ],
)
def test_a_stop_string_over_several_tokens_is_cut(
    text: str, stop: tuple[str, ...], expected: str, returned: int
) -> None:
    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=Script(list(text.encode())), stop=stop, max_tokens=30)))
    answer = result.choices[0]
    assert answer.done is not None
    assert (answer.text, len(answer.tokens)) == (expected, returned)
    hit = stop[0] in text
    assert answer.done.finish_reason == "stop"
    assert answer.done.stop_reason == (stop[0] if hit else "strategy")
    assert result.usage is not None
    written = text[: text.index(stop[0]) + len(stop[0])] if hit else text
    assert result.usage.completion_tokens == len(written.encode())


def test_the_end_token_is_counted_but_not_returned() -> None:
    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=Script([65, END]), ignore_eos=False)))
        ignored = collect(engine.submit(ask(strategy=Script([65, END, 66]), ignore_eos=True)))
        stopped = collect(engine.submit(ask(strategy=Script([65, 66]), stop_token_ids=(66,))))
    for each, reason in ((result, None), (stopped, 66)):
        answer = each.only
        assert (answer.text, answer.ids) == ("A", [65])
        assert answer.done is not None
        assert (answer.done.finish_reason, answer.done.stop_reason) == ("stop", reason)
        assert each.usage is not None
        assert each.usage.completion_tokens == 2
    assert (ignored.only.text, ignored.only.ids) == ("AB", [65, END, 66])


def test_length_is_bounded_by_the_context() -> None:
    with tiny_engine() as engine:
        answer = collect(engine.submit(ask(range(1, 61), max_tokens=500))).only
        fits = collect(engine.submit(ask([3] * (CONTEXT - 1), max_tokens=500))).only
        short = tiny_engine(max_context=10)
        assert short.context_length == 10
    assert answer.done is not None
    assert (len(answer.ids), answer.done.finish_reason) == (CONTEXT - 60, "length")
    assert len(fits.ids) == 1


def test_zero_tokens_can_be_asked_for_to_score_a_prompt() -> None:
    prompt = [3] * CONTEXT
    with tiny_engine() as engine:
        items = list(engine.submit(ask(prompt, max_tokens=0, score_prompt=True, n=2)))
        scored = engine.score(prompt)
    assert isinstance(items[0], PromptScored)
    assert list(items[0].tokens) == scored
    assert [type(item) for item in items[1:]] == [ChoiceDone, ChoiceDone, RequestDone]


# Requests that are refused


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"prompt": []}, ParameterError, "prompt"),
        ({"prompt": [1, len(VOCABULARY)]}, ParameterError, "prompt"),
        ({"prompt": [-1]}, ParameterError, "prompt"),
        ({"prompt": [1] * CONTEXT}, ContextLengthError, "prompt"),
        ({"prompt": [1] * (CONTEXT + 1), "max_tokens": 0}, ContextLengthError, "prompt"),
        ({"signals": ("entropy", "mood")}, UnknownNameError, "signals"),
        ({"top_logprobs": 21}, ParameterError, "top_logprobs"),
        ({"top_logprobs": -1}, ParameterError, "top_logprobs"),
        ({"n": 0}, ParameterError, "n"),
        ({"n": 129}, ParameterError, "n"),
        ({"seed": 2**64}, ParameterError, "seed"),
        ({"stop_token_ids": (len(VOCABULARY),)}, ParameterError, "stop_token_ids"),
        ({"sampling": SamplingParams(logit_bias={len(VOCABULARY): 1.0})}, ParameterError, "logit_bias"),
    ],
)
def test_a_bad_request_is_refused_before_it_starts(
    change: dict[str, Any], error: type[RequestError], param: str
) -> None:
    with tiny_engine() as engine:
        with pytest.raises(error) as caught:
            engine.submit(ask(**change))
        assert caught.value.param == param
        assert collect(engine.submit(ask())).error is None


def test_scoring_checks_its_input_too() -> None:
    with tiny_engine() as engine:
        for wrong in ([], [len(VOCABULARY)], [1] * (CONTEXT + 1)):
            with pytest.raises(RequestError):
                engine.score(wrong)
        with pytest.raises(UnknownNameError, match="mood"):
            engine.score([1, 2], ["mood"])
        assert engine.score([1]) == []


# Failures


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


class Faulty:
    """The tiny model, but some of its calls fail: they raise, or return what is not a number."""

    def __init__(self, calls: set[int], broken_slot: int | None = None) -> None:
        self.spec = tiny_model().spec
        self.calls = 0
        self.failing = calls
        self.broken_slot = broken_slot

    def new_cache(self, slots: int, length: int) -> SlotCache:
        return tiny_model().new_cache(slots, length)

    def prefill(
        self, cache: SlotCache, rows: Items[PrefillRow], hidden_layers: Items[int] = ()
    ) -> StepOutput:
        return self._call(tiny_model().prefill(cache, rows, hidden_layers), [row.slot for row in rows])

    def step(
        self,
        cache: SlotCache,
        token_ids: torch.Tensor,
        slots: torch.Tensor,
        positions: torch.Tensor,
        hidden_layers: Items[int] = (),
    ) -> StepOutput:
        output = tiny_model().step(cache, token_ids, slots, positions, hidden_layers)
        return self._call(output, slots.tolist())

    def score(self, token_ids: Items[int], hidden_layers: Items[int] = ()) -> StepOutput:
        return self._call(tiny_model().score(token_ids, hidden_layers), [])

    def _call(self, output: StepOutput, slots: list[int]) -> StepOutput:
        self.calls += 1
        if self.calls in self.failing:
            raise RuntimeError("out of memory")
        if self.broken_slot in slots:
            output.logits[slots.index(self.broken_slot)] = torch.nan
        return output


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


def test_logits_that_are_not_numbers_fail_their_own_request_only() -> None:
    with tiny_engine(Faulty(set(), broken_slot=1), max_rows=3) as engine:
        streams = [engine.submit(ask([i, i + 1], max_tokens=6)) for i in range(1, 4)]
        errors = [collect(stream).error for stream in streams]
    assert [type(error) for error in errors] == [type(None), ModelFailureError, type(None)]


# Leaving, waiting, stopping


def test_cancelling_frees_every_row_at_once() -> None:
    with tiny_engine(max_rows=4) as engine:
        stream = engine.submit(ask(n=9, max_tokens=50))
        next(stream)
        stream.cancel()
        assert list(stream) == []
        # The next request needs all four rows.
        result = collect(engine.submit(ask(n=4, max_tokens=2)))
        stats = engine.stats()
    assert len(result.choices) == 4
    assert stats.requests_cancelled == 1
    assert (stats.rows_in_use, stats.active_requests, stats.waiting_requests) == (0, 0, 0)
    assert stats.drawn_tokens < 9 * 50


def test_cancelling_a_strategy_runs_its_cleanup() -> None:
    cleaned = threading.Event()

    class Tidy:
        needs: frozenset[str] = frozenset()

        async def decode(self, sequence: Sequence) -> Sequence:
            try:
                await gather(*(each.extend() for each in sequence.fork(3)))
            finally:
                cleaned.set()
            return sequence

    with tiny_engine(max_rows=2) as engine:
        stream = engine.submit(ask(strategy=Tidy(), max_tokens=50))
        stream.cancel()
        collect(engine.submit(ask(max_tokens=1)))
        assert engine.stats().active_requests == 0
        # Cancelled before it began, or while it ran: either way nothing is left of it.
        stream = engine.submit(Announced.request(cleaned))
        next(stream)
        stream.cancel()
        assert cleaned.wait(10)


class Announced:
    """Commits a token, so that the test knows it is running, then goes on for long."""

    needs: frozenset[str] = frozenset()

    def __init__(self, cleaned: threading.Event) -> None:
        self.cleaned = cleaned

    @classmethod
    def request(cls, cleaned: threading.Event) -> GenerationRequest:
        cleaned.clear()
        return ask(strategy=cls(cleaned), max_tokens=50)

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.next()
        sequence.commit()
        try:
            while True:
                (lookahead,) = sequence.fork()
                await lookahead.extend(max_tokens=5)
        finally:
            self.cleaned.set()


def test_a_full_queue_refuses_and_recovers() -> None:
    with tiny_engine(max_rows=1, max_waiting=2) as engine:
        running = engine.submit(Announced.request(threading.Event()))
        next(running)
        waiting = [engine.submit(ask(max_tokens=1)) for _ in range(2)]
        with pytest.raises(OverloadedError, match="2 requests are waiting, and no more than 2 may"):
            engine.submit(ask())
        assert engine.stats().waiting_requests == 2
        running.cancel()
        for stream in waiting:
            assert collect(stream).error is None
        assert collect(engine.submit(ask())).error is None
        assert engine.stats().requests_refused == 1


def test_stopping_ends_what_runs_and_refuses_what_comes() -> None:
    engine = tiny_engine(max_rows=1)
    with pytest.raises(EngineStoppedError):
        engine.submit(ask())
    engine.start()
    running = engine.submit(Announced.request(threading.Event()))
    waiting = engine.submit(ask())
    next(running)
    engine.stop()
    assert isinstance(collect(running).error, EngineStoppedError)
    assert isinstance(collect(waiting).error, EngineStoppedError)
    with pytest.raises(EngineStoppedError):
        engine.submit(ask())
    assert not engine.running


def test_streams_are_read_by_many_tasks_of_an_event_loop() -> None:
    async def read(engine: Engine, seed: int) -> list[int]:
        ids: list[int] = []
        async for item in engine.submit(ask(seed=seed, max_tokens=20)):
            if isinstance(item, TokenOut):
                ids.append(item.token.id)
        return ids

    async def main(engine: Engine) -> tuple[list[list[int]], int]:
        texts, scored = await asyncio.gather(
            asyncio.gather(*(read(engine, seed) for seed in range(12))), engine.score_async([1, 2, 3])
        )
        return texts, len(scored)

    with tiny_engine() as engine:
        texts, scored = asyncio.run(main(engine))
        alone = [collect(engine.submit(ask(seed=seed, max_tokens=20))).only.ids for seed in range(12)]
    assert texts == alone
    assert scored == 2


def test_cancelling_ends_the_wait_of_another_task_or_thread() -> None:
    async def main(engine: Engine) -> list[StreamItem]:
        stream = engine.submit(ask(strategy=Silent()))

        async def read() -> list[StreamItem]:
            return [item async for item in stream]

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)  # it waits now
        stream.cancel()
        return await asyncio.wait_for(reader, 10)

    with tiny_engine() as engine:
        assert asyncio.run(main(engine)) == []
        stream = engine.submit(ask(strategy=Silent()))
        read: list[StreamItem] = []
        reader = threading.Thread(target=lambda: read.extend(stream))
        reader.start()
        stream.cancel()
        reader.join(10)
        assert not reader.is_alive()
        assert read == []


class Silent:
    """Writes for ever and commits nothing."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        while True:
            (each,) = sequence.fork()
            await each.extend(max_tokens=3)


def test_a_strategy_that_fails_at_once_leaves_the_queue() -> None:
    class Broken:
        needs: frozenset[str] = frozenset()

        async def decode(self, sequence: Sequence) -> Sequence:
            raise RuntimeError(f"before the first token of {sequence.position}")

    with tiny_engine() as engine:
        for n in (1, 3):
            assert isinstance(collect(engine.submit(ask(strategy=Broken(), n=n))).error, StrategyError)
        assert collect(engine.submit(ask())).error is None
        assert engine.stats().waiting_requests == 0


def test_tokens_come_out_while_the_rest_is_still_being_written() -> None:
    with tiny_engine() as engine:
        stream = engine.submit(Announced.request(threading.Event()))
        first = next(stream)  # its strategy never ends
        assert isinstance(first, TokenOut)
        stream.cancel()


def test_greedy_ignores_temperature_but_not_bias() -> None:
    with tiny_engine() as engine:
        plain = collect(engine.submit(ask(strategy=GreedyParams().build())))
        hot = collect(engine.submit(ask(strategy=GreedyParams().build(), sampling=SamplingParams(9.0))))
        bias = collect(engine.submit(ask(strategy=GreedyParams().build(), sampling=biased(77))))
    assert plain.only.ids == hot.only.ids
    assert bias.only.ids == [77] * 12
