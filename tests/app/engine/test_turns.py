"""Turns are dealt out as promised, whatever they take. Time is made up."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.engine.turns import (
    BRISK_PREFILL_SECONDS,
    BRISK_ROWS,
    CALM_PREFILL_TOKENS,
    CALM_SECONDS,
    CAUTIOUS_PREFILL_TOKENS,
    CAUTIOUS_ROWS,
    FRESH_IN_A_ROW,
    LEAST_BRISK_PREFILL_TOKENS,
    LEAST_GROWS,
    LEAST_PIECE,
    LEAST_PREFILL_TOKENS,
    PREFILL_SECONDS,
    SHARE,
    LiveOrder,
    Portion,
    PrefillPace,
    Turn,
    Turns,
    brisk_part,
)

LIVE = Turn(background=False, rows=32, prefill_tokens=4096)
CALM = Turn(background=True, rows=32, prefill_tokens=CALM_PREFILL_TOKENS)
CAUTIOUS = Turn(background=True, rows=CAUTIOUS_ROWS, prefill_tokens=CAUTIOUS_PREFILL_TOKENS)

seconds = st.floats(0.001, 0.1)


def test_without_a_background_every_turn_is_live_and_whole() -> None:
    turns = Turns(32, 4096)
    for now in (0.0, 0.1, 5.0):
        turn = turns.next(live=True, background=False, now=now)
        assert turn == LIVE
        turns.taken(turn, 0.1)


def test_the_background_is_careful_until_nothing_was_live_for_a_while() -> None:
    turns = Turns(32, 4096)
    assert turns.next(live=False, background=True, now=0.0) == CALM
    turns.next(live=True, background=False, now=10.0)
    assert turns.next(live=False, background=True, now=10.01) == CAUTIOUS
    assert turns.next(live=False, background=True, now=9.99 + CALM_SECONDS) == CAUTIOUS
    assert turns.next(live=False, background=True, now=10.01 + CALM_SECONDS) == CALM


def test_no_turn_takes_more_than_the_engine_does() -> None:
    turns = Turns(4, 100)
    assert turns.next(live=False, background=True, now=0.0) == Turn(True, 4, 100)
    turns.next(live=True, background=True, now=0.0)
    assert turns.next(live=False, background=True, now=0.1) == Turn(True, 4, 100)


def test_a_live_request_that_arrives_has_the_next_turn() -> None:
    turns = Turns(32, 4096)
    for now in range(100):
        turn = turns.next(live=False, background=True, now=float(now))
        turns.taken(turn, 1.0)
    assert not turns.next(live=True, background=True, now=100.0).background


@given(st.lists(seconds, min_size=1, max_size=10), st.lists(seconds, min_size=1, max_size=10))
def test_the_background_gets_its_share_of_a_steady_live_load_and_no_more(
    live: list[float], background: list[float]
) -> None:
    turns = Turns(32, 4096)
    spent = {False: 0.0, True: 0.0}
    now = 0.0
    for index in range(3000):
        turn = turns.next(live=True, background=True, now=now)
        assert turn.rows == (CAUTIOUS_ROWS if turn.background else 32)
        took = (background if turn.background else live)[
            index % (len(background if turn.background else live))
        ]
        turns.taken(turn, took)
        spent[turn.background] += took
        now += took
        # Off by no more than a single turn of either kind, at any time.
        assert -SHARE * max(live) <= spent[True] - SHARE * spent[False] + 1e-9
        assert spent[True] - SHARE * spent[False] <= max(background) + 1e-9


@given(st.lists(st.tuples(st.booleans(), seconds), min_size=1, max_size=200))
def test_time_without_live_work_is_neither_paid_for_nor_saved_up(story: list[tuple[bool, float]]) -> None:
    turns = Turns(32, 4096)
    now, paid, live_time = 0.0, 0.0, 0.0
    for live, took in story:
        turn = turns.next(live=live, background=True, now=now)
        turns.taken(turn, took)
        now += took
        if live:
            paid, live_time = paid + took * turn.background, live_time + took * (not turn.background)
        assert paid <= SHARE * live_time + 0.1


def test_whoever_has_no_token_goes_first_but_not_for_ever() -> None:
    order = LiveOrder()
    kinds = [order.next(1, 5, reading=False) for _ in range(2 * FRESH_IN_A_ROW + 2)]
    assert kinds == 2 * ([*["fresh"] * FRESH_IN_A_ROW, "all"])


def test_a_pass_for_all_is_enough_where_nobody_has_a_token() -> None:
    order = LiveOrder()
    assert [order.next(5, 5, reading=False) for _ in range(3)] == ["all"] * 3


def test_texts_are_read_every_other_turn_and_at_every_turn_if_there_is_nothing_else() -> None:
    order = LiveOrder()
    assert [order.next(0, 5, reading=True) for _ in range(4)] == ["read", "all", "read", "all"]
    assert [order.next(0, 0, reading=True) for _ in range(3)] == ["read"] * 3
    assert order.next(2, 2, reading=True) == "fresh"


BRISK = replace(LIVE, brisk=True)


@given(st.integers(1, 10_000), st.floats(10, 1e7), st.sampled_from([LIVE, BRISK]))
def test_prompts_are_read_in_pieces_that_take_as_long_as_they_may(
    most: int, per_second: float, turn: Turn
) -> None:
    pace = PrefillPace(most)
    allowed = BRISK_PREFILL_SECONDS if turn.brisk else PREFILL_SECONDS
    assert pace.portion(turn, 1, 1).piece == min(most, LEAST_PIECE)
    for _ in range(60):
        piece = pace.portion(turn, 1, 1).piece
        pace.taken(piece, piece / per_second)
    wanted = max(LEAST_PIECE, per_second * allowed)
    assert abs(pace.portion(turn, 1, 1).piece - min(most, wanted)) <= 1


def test_few_tokens_say_nothing_about_many() -> None:
    pace = PrefillPace(4096)
    before = pace.portion(LIVE, 1, 2)
    pace.taken(2, 1e-9)
    pace.taken(0, 0.0)
    assert pace.portion(LIVE, 1, 2) == before


@given(st.integers(1, 10_000), st.integers(0, 200), st.integers(0, 200), st.sampled_from([LIVE, BRISK]))
def test_prompts_are_read_together_the_more_wait_and_the_fewer_go_on(
    most: int, beginning: int, going_on: int, turn: Turn
) -> None:
    pace = PrefillPace(most)

    def together(beginning: int, going_on: int) -> int:
        portion = pace.portion(turn, beginning, beginning + going_on)
        assert (portion.whole, portion.piece) == (min(most, least), min(most, LEAST_PIECE)), "whoever waits"
        return portion.together

    least = LEAST_BRISK_PREFILL_TOKENS if turn.brisk else LEAST_PREFILL_TOKENS
    found = together(beginning, going_on)
    assert min(most, least) <= found <= min(most, LEAST_GROWS * least)
    if beginning < 2 * going_on:
        assert found == min(most, least), "those who go on are not held up"
    if beginning >= LEAST_GROWS and not going_on:
        assert found == min(most, LEAST_GROWS * least)
    assert together(beginning + 1, going_on) >= found >= together(beginning, going_on + 1)


def test_a_fast_machine_reads_no_more_together_than_it_may_in_the_time() -> None:
    pace = PrefillPace(100_000)
    pace.taken(10_000, 0.01)
    assert pace.portion(LIVE, 32, 32) == Portion(*[int(1e6 * PREFILL_SECONDS)] * 3)


def test_the_background_reads_what_its_turn_says() -> None:
    assert PrefillPace(4096).portion(CAUTIOUS, 8, 8) == Portion(*[CAUTIOUS_PREFILL_TOKENS] * 3)


def test_live_passes_are_brisk_while_somebody_comes_now_and_then() -> None:
    turns = Turns(32, 4096)
    assert not turns.next(live=True, background=False, now=0.0).brisk
    turns.newcomer(0.5)
    assert turns.next(live=True, background=False, now=0.5) == replace(LIVE, brisk=True)
    assert turns.next(live=True, background=True, now=0.5 + CALM_SECONDS).brisk
    assert not turns.next(live=True, background=False, now=0.51 + CALM_SECONDS).brisk
    assert not turns.next(live=False, background=True, now=0.6).brisk


@given(st.lists(st.integers(0, 30), max_size=100))
def test_a_brisk_pass_has_a_row_of_every_group_and_few_in_all(groups: list[int]) -> None:
    waiting = list(enumerate(groups))
    part = brisk_part(waiting, lambda each: each[1])
    assert len(part) == len(set(part)) == min(len(waiting), max(BRISK_ROWS, len(set(groups))))
    assert {group for _, group in part} == set(groups)
    for group in set(groups):  # first come, first served, and nobody two ahead of another who has more
        places = [place for place, of in part if of == group]
        assert places == [place for place, of in waiting if of == group][: len(places)]
        left = groups.count(group) > len(places)
        most = max(sum(of == other for _, of in part) for other in set(groups))
        assert not left or most - len(places) <= 1


def test_in_brisk_passes_everybody_gets_on() -> None:
    waiting, had = [(name, 0 if name < 40 else 1) for name in range(43)], Counter[int]()
    for _ in range(20):
        part = brisk_part(waiting, lambda each: each[1])
        had.update(name for name, _ in part)
        waiting = [each for each in waiting if each not in part] + part
    assert min(had.values()) >= 3
    assert all(had[name] == 20 for name in (40, 41, 42))
