"""Prompts that one pass cannot read: they are read in pieces, and nobody waits for more than a piece."""

from dataclasses import replace

import pytest

from app.engine.turns import LEAST_PREFILL_TOKENS, Turn
from tests.app.engine.test_batching import same
from tests.app.engine.test_fairness import Watched
from tests.app.engine.tiny import ask, collect, tiny_engine

LONG = ask(range(1, 41), max_tokens=3)
SHORT = ask([2, 7, 1], max_tokens=5, seed=5)
PIECE = 8


def test_streams_go_on_at_every_pass_while_a_long_prompt_is_read() -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    (running,) = watched.submit([ask([3, 1, 4], max_tokens=30)])
    watched.tick(2)
    (long,) = watched.submit([LONG])
    for passes in range(40 // PIECE - 1):
        said = running.held
        watched.tick()
        assert running.held > said, passes
        assert not long.held
    assert watched.ticks_until_spoken(long) <= 2


@pytest.mark.parametrize("before", range(5))
def test_a_short_prompt_does_not_wait_until_a_long_one_is_read(before: int) -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    watched.submit([LONG])
    watched.tick(before)
    (short,) = watched.submit([SHORT])
    assert watched.ticks_until_spoken(short) <= 2  # the last piece of the long one may be first


def test_a_long_prompt_is_read_whatever_short_ones_come() -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    (long,) = watched.submit([LONG])
    for passes in range(200):
        if long.held:
            break
        watched.submit([ask([7, 1, passes + 1], max_tokens=2)])
        watched.tick()
    assert long.held


def test_several_long_prompts_are_read_in_turn() -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    starts = (1, 90, 170)
    streams = watched.submit([ask(range(start, start + 40), max_tokens=1) for start in starts])
    (later,) = watched.submit([ask(range(200, 200 + 2 * PIECE), max_tokens=1)])
    assert watched.ticks_until_spoken(later) <= 2 * (1 + len(starts))
    assert not any(stream.held for stream in streams)
    assert max(watched.ticks_until_spoken(stream) for stream in streams) <= 3 * 40 // PIECE


def test_a_long_prompt_of_several_choices_is_read_once() -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    streams = watched.submit([replace(LONG, seed=seed) for seed in range(5)])
    assert max(watched.ticks_until_spoken(stream) for stream in streams) <= 40 // PIECE
    assert watched.loop.counters.prefill_tokens == 40


def test_what_long_prompts_have_in_common_is_read_once() -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    common = [*range(1, 41)]
    requests = [ask([*common, 100 + each, 7, 7], max_tokens=2, seed=each) for each in range(3)]
    streams = watched.submit(requests)
    while not watched.loop.idle:
        watched.tick()
    # Each reads its own end, and may read a piece before it finds what another one has read.
    assert watched.loop.counters.prefill_tokens <= 40 + 3 * 2 * PIECE
    with tiny_engine() as engine:
        for request, stream in zip(requests, streams, strict=True):
            same(collect(stream), collect(engine.submit(request)))


class FewRows:
    """Every turn has fewer rows than there are sequences that could go on."""

    def next(self, live: bool, background: bool, now: float) -> Turn:
        del live, now
        return Turn(background, rows=2, prefill_tokens=PIECE)

    def newcomer(self, now: float) -> None: ...

    def taken(self, turn: Turn, seconds: float) -> None: ...


@pytest.mark.parametrize("long_first", [True, False])
def test_a_long_prompt_is_read_although_others_fill_every_pass(long_first: bool) -> None:
    watched = Watched(max_rows=8, max_prefill_tokens=PIECE)
    watched.loop._turns = FewRows()  # pyright: ignore
    short = [ask([3, 1, number], max_tokens=50, background=True) for number in range(5)]
    long = replace(LONG, background=True)
    streams = watched.submit([long, *short] if long_first else [*short, long])
    waiting = streams[0 if long_first else -1]
    # A piece at every other pass, and then its token, for which it has no such claim.
    watched.tick(2 * (40 // PIECE))
    assert watched.loop.counters.prefill_tokens >= 40 - PIECE
    if long_first:
        assert watched.ticks_until_spoken(waiting) <= 2
    others = [stream for stream in streams if stream is not waiting]
    assert sum(stream.held for stream in others) > 0, "they go on beside it"


def test_short_prompts_that_come_together_begin_in_one_pass() -> None:
    # Before anything was read, no machine is fast: a pass reads at least so much.
    watched = Watched(max_rows=8)
    streams = watched.submit([ask(range(start, start + 40), max_tokens=3) for start in range(1, 9)])
    assert LEAST_PREFILL_TOKENS < 8 * 40
    watched.tick()
    assert all(stream.held for stream in streams)


def test_pieces_do_not_change_a_text() -> None:
    requests = (LONG, SHORT, LONG, ask([*range(1, 31), 9], max_tokens=3))
    with tiny_engine(max_prefill_tokens=PIECE) as engine:
        streams = [engine.submit(request) for request in requests]
        in_pieces = [collect(stream) for stream in streams]
    with tiny_engine() as engine:
        whole = [collect(engine.submit(request)) for request in requests]
    for one, other in zip(in_pieces, whole, strict=True):
        same(one, other)
