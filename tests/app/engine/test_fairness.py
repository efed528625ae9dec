"""A short request beside large ones: it begins at once, and nobody's text changes."""

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import pytest
import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.engine.engine import Engine
from app.engine.loop import DecodingLoop
from app.engine.requests import RequestGroup
from app.engine.stream import Stream
from app.engine.turns import FRESH_IN_A_ROW
from app.engine.types import EngineLimits, GenerationRequest, StreamItem, TokenOut
from tests.app.engine.test_batching import same
from tests.app.engine.tiny import TinyCheckpoint, Wanderer, ask, collect, tiny_engine, tiny_model

NEWCOMER = ask([2, 7, 1], max_tokens=5, seed=5)


@dataclass(frozen=True)
class BestOf:
    """Many branches of one choice, none of which says anything before the end."""

    n: int = 64
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        branches = sequence.fork(self.n)
        await gather(*(branch.extend() for branch in branches))
        return branches[0]


LARGE = {
    "n of 128": [ask(n=128, max_tokens=50)],
    "best of 64": [ask(strategy=BestOf(), max_tokens=50)],
    "128 prompts": [ask([index, 5, 9], max_tokens=50) for index in range(1, 129)],
    "long prompts": [ask(range(index, index + 40), max_tokens=20) for index in range(1, 129)],
    "echoed prompts": [
        ask(range(index, index + 20), max_tokens=30, score_prompt=True) for index in range(1, 129)
    ],
}


class Watched:
    """A loop that is ticked by hand."""

    def __init__(self, **limits: int) -> None:
        self.loop = DecodingLoop(TinyCheckpoint(tiny_model()), EngineLimits(**limits))

    def submit(self, requests: Items[GenerationRequest], client: str = "") -> list[Stream]:
        streams = [Stream(lambda _: None) for _ in requests]
        group = RequestGroup(client=client)
        for request, stream in zip(requests, streams, strict=True):
            self.loop.submit(request, stream, group)
        return streams

    @torch.inference_mode()
    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.loop.tick()

    def ticks_until_spoken(self, stream: Stream, most: int = 1000) -> int:
        """Ticks until the stream has something to tell."""
        for ticks in range(most):
            if stream.held:
                return ticks
            self.tick()
        raise AssertionError(f"nothing after {most} ticks")

    def rows(self, client: str) -> int:
        """Slots that a client's choices hold."""
        groups = [group for group in self.loop.live.groups if group.client == client]
        return sum(choice.standing.held for group in groups for choice in group.choices)


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("before", [1, 2, 20])
def test_a_newcomer_has_its_first_token_in_the_next_pass(large: list[GenerationRequest], before: int) -> None:
    watched = Watched(max_rows=8)
    watched.submit(large)
    watched.tick(before)
    (stream,) = watched.submit([NEWCOMER])
    rows = watched.loop.counters.forward_rows
    assert watched.ticks_until_spoken(stream) == 1
    assert watched.loop.counters.forward_rows - rows <= 2, "a small pass, for who has no token yet"


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_a_newcomer_goes_on_at_every_pass_for_all(large: list[GenerationRequest]) -> None:
    watched = Watched(max_rows=8)
    watched.submit(large)
    watched.tick(20)
    (stream,) = watched.submit([NEWCOMER])
    # Texts that are to be read have every other turn.
    watched.tick(1 + 2 * 4)
    assert stream.ended


def test_many_newcomers_do_not_hold_up_the_others_for_ever() -> None:
    watched = Watched(max_rows=8)
    (old,) = watched.submit([ask(max_tokens=20)])
    watched.tick()
    number = 0
    for number in range(200):
        watched.submit([replace(NEWCOMER, seed=number)])
        watched.tick()
        if old.ended:
            break
    assert old.ended
    assert number <= 20 * (FRESH_IN_A_ROW + 1) + 5


def test_a_large_request_gets_back_what_a_newcomer_had() -> None:
    watched = Watched(max_rows=8)
    watched.submit(LARGE["n of 128"])
    watched.tick(3)
    assert watched.rows("") == 8
    before = watched.loop.counters.prefill_tokens
    (stream,) = watched.submit([replace(NEWCOMER, client="b")], client="b")
    watched.tick(2)
    assert (watched.rows(""), watched.rows("b")) == (7, 1)
    while not stream.ended:
        watched.tick()
    watched.tick(2)
    assert watched.rows("") == 8
    # The newcomer's prompt, and the one text that had to make room.
    assert watched.loop.counters.prefill_tokens - before <= 3 + 2 * 20


@pytest.mark.parametrize("kind", ["n of 128", "best of 64"])
def test_equal_requests_have_equal_rows(kind: str) -> None:
    watched = Watched(max_rows=8)
    for client in "abc":
        watched.submit([replace(each, client=client) for each in LARGE[kind]], client)
        watched.tick(3)
    watched.tick(5)
    assert [watched.rows(client) for client in "abc"] == [3, 3, 2]
    rebuilt = watched.loop.counters.prefill_tokens
    watched.tick(20)
    assert watched.loop.counters.prefill_tokens == rebuilt, "nobody takes anything back and forth"


def test_clients_have_equal_rows_however_many_requests_each_sends() -> None:
    watched = Watched(max_rows=8)
    for _ in range(6):
        watched.submit([ask(n=20, max_tokens=50)], "many")
    watched.submit([ask(n=20, max_tokens=50)], "one")
    watched.tick(8)
    assert (watched.rows("many"), watched.rows("one")) == (4, 4)
    # And of the six requests, each has begun that there are rows for.
    begun = [group.begun for group in watched.loop.live.groups if group.client == "many"]
    assert begun == [True] * 4 + [False] * 2


def test_choices_begin_in_turn_over_requests() -> None:
    watched = Watched(max_rows=8)
    first, second = watched.submit([ask(n=9, max_tokens=4)]), watched.submit([ask(n=9, max_tokens=4)])
    watched.tick(2)
    started = [len(group.choices) for group in watched.loop.live.groups]
    assert started == [4, 4]
    while not (first[0].ended and second[0].ended):
        watched.tick()


@pytest.mark.parametrize("max_rows", [1, 2, 3])
def test_where_there_are_more_requests_than_rows_their_choices_begin_in_turn(max_rows: int) -> None:
    watched = Watched(max_rows=max_rows)
    streams = [watched.submit([ask(n=9, max_tokens=10, seed=seed)])[0] for seed in range(max_rows + 2)]
    watched.tick(1)
    for _ in range(2 * 10 + 5):
        watched.tick()
    # Nobody has had a second choice before everybody has had a first one.
    assert all(stream.held for stream in streams)


def test_scored_texts_and_generations_take_turns() -> None:
    with tiny_engine(max_rows=4) as engine:
        scores = engine.submit_scores([list(range(1, 60))] * 200)
        collect(engine.submit(NEWCOMER))
        assert not scores[-1].done()
        assert sum(score.done() for score in scores) <= 1 + 2 * 6
        other = engine.submit_scores([[1, 2, 3]], client="b")
        other[0].result(30)
        assert not scores[-1].done()
        for score in scores:
            score.cancel()


def test_texts_of_one_request_take_turns_with_those_of_another() -> None:
    with tiny_engine(max_rows=4) as engine:
        many = engine.submit_scores([list(range(1, 60))] * 200)
        few = engine.submit_scores([[1, 2, 3]] * 3)
        few[-1].result(30)
        assert sum(score.done() for score in many) < 20
        for score in many:
            score.cancel()


def company() -> list[list[GenerationRequest]]:
    """Requests that want far more rows than there are."""
    return [
        [ask([3, 1, 4], n=11, max_tokens=20, seed=1)],
        [ask([index, 9], Wanderer(), max_tokens=15, seed=index) for index in range(1, 7)],
        [ask([2, 2], BestOf(10), max_tokens=12, seed=3)],
        [ask([8, index], max_tokens=25, seed=index, client="other") for index in range(1, 4)],
        [ask(range(1, 50), max_tokens=9, score_prompt=True, n=3)],
        [NEWCOMER],
    ]


@pytest.mark.parametrize(("max_rows", "max_prefill_tokens"), [(2, 4096), (7, 2)])
def test_texts_are_the_same_alone_and_where_rows_are_taken_away(
    max_rows: int, max_prefill_tokens: int
) -> None:
    def texts(engine: Engine, together: bool) -> list[list[StreamItem]]:
        answers: list[list[StreamItem]] = []
        streams: list[Stream] = []
        for requests in company():
            streams += engine.submit_all(requests)
            if not together:
                answers += [list(stream) for stream in streams]
                streams = []
        return answers + [list(stream) for stream in streams]

    with tiny_engine(max_rows=max_rows, max_prefill_tokens=max_prefill_tokens) as engine:
        together = texts(engine, together=True)
    with tiny_engine(max_rows=32) as engine:
        alone = texts(engine, together=False)
    for left, right in zip(alone, together, strict=True):
        same(collect(left), collect(right))
        assert any(isinstance(item, TokenOut) for item in left)
