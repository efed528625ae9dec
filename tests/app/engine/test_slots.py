"""Slots: prefixes that are found, and whose place is given away."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.engine.slots import MIN_SHARED_PREFIX, Slot, SlotTable, Standing, shared_prefix

FIRST = Standing()


@dataclass
class RecordingCache:
    """A cache that only remembers what was copied."""

    slots: int
    length: int = 100
    held_bytes: int = 0
    most_bytes: int = 0
    copies: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])
    text_bytes: int = 0

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self.copies.append((source, target, start, end))

    def cut(self, slot: int, length: int) -> None:
        pass


def sequence(ids: list[int]) -> Sequence:
    spec = SequenceSpec(tuple(ids), SamplingParams(), StoppingParams(50), 100, (), [b"x"] * 100, lambda _: [])
    return Sequence(spec, Ledger())


def write(each: Sequence, *ids: int) -> None:
    for token_id in ids:
        each.accept(Token(token_id, -1.0, {}))


def place(table: SlotTable, each: Sequence) -> Slot:
    table.tick += 1
    slot = table.assign(each, FIRST)
    assert slot is not None
    slot.written(len(each.context.ids))
    return slot


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.integers(0, 12))
def test_shared_prefix_is_the_longest(left: list[int], right: list[int], limit: int) -> None:
    count = 0
    while count < min(len(left), len(right), limit) and left[count] == right[count]:
        count += 1
    assert shared_prefix(left, right, limit) == count


def test_the_sequence_idle_longest_gives_way_and_a_waiting_one_never() -> None:
    table = SlotTable(RecordingCache(2))
    first, second = sequence([1]), sequence([2])
    place(table, first)
    place(table, second)
    third = sequence([3])
    assert place(table, third).index == 0
    assert table.of(first) is None
    second.pending = third.pending = True
    assert table.assign(first, FIRST) is None
    second.pending = False
    assert place(table, first).index == 1


def test_a_dropped_sequence_frees_its_slot_and_leaves_its_prefix_to_others() -> None:
    cache = RecordingCache(3)
    table = SlotTable(cache)
    prompt = list(range(MIN_SHARED_PREFIX + 4))
    first = sequence(prompt)
    place(table, first)
    assert table.free() == 2
    del first
    assert table.free() == 3
    second = sequence([*prompt, 77])
    slot = table.assign(second, FIRST)
    assert slot is not None
    assert slot.valid == len(prompt)
    assert cache.copies == []  # taken over where it lay


def test_a_fork_copies_what_it_shares_with_where_it_came_from() -> None:
    cache = RecordingCache(3)
    table = SlotTable(cache)
    parent = sequence([1, 2, 3])
    write(parent, 4, 5)
    place(table, parent)
    (child,) = parent.fork()
    parent.rewind(0, "x")
    write(parent, 9)
    slot = table.assign(child, FIRST)
    assert slot is not None
    assert slot.valid == 3
    assert cache.copies == [(0, 1, 0, 3)]


def test_a_short_common_prefix_is_not_worth_a_copy() -> None:
    cache = RecordingCache(2)
    table = SlotTable(cache)
    short = list(range(MIN_SHARED_PREFIX - 1))
    first = sequence([*short, 90])
    place(table, first)
    second = table.assign(sequence([*short, 91]), FIRST)
    assert second is not None
    assert second.valid == 0


def test_rewinding_shortens_what_the_slot_holds() -> None:
    table = SlotTable(RecordingCache(1))
    each = sequence([1, 2])
    write(each, 3, 4)
    slot = place(table, each)
    each.rewind(1, "x")
    write(each, 8, 9)
    assert slot.valid == 3


def test_the_background_gives_way_and_takes_nothing_from_the_live() -> None:
    table = SlotTable(RecordingCache(2))
    live, behind = sequence([1]), sequence([2])
    background = Standing(background=True)
    place(table, live)
    table.assign(behind, background)
    behind.pending = True
    table.count()
    assert (table.held(background=True), table.held(background=False)) == (1, 1)
    # The live one is idle, yet it keeps its slot; so does the one in the background that waits.
    assert table.assign(sequence([3]), background) is None
    other = sequence([4])
    assert place(table, other).index == 1
    assert table.of(behind) is None
    assert table.assign(behind, background) is None
    seized = table.assign(behind, background, seize=True)
    assert seized is not None
    assert seized.index == 0
    assert table.of(live) is None


def choices(*entitled: int) -> list[Standing]:
    """Choices in the order in which they began."""
    return [Standing(number=number, entitled=slots) for number, slots in enumerate(entitled)]


def test_older_choices_have_what_younger_ones_hold_beyond_their_part() -> None:
    table = SlotTable(RecordingCache(3))
    oldest, middle, youngest = choices(1, 1, 0)
    old, between, young = sequence([1]), sequence([2]), sequence([3])
    for each, standing in ((old, oldest), (between, middle), (young, youngest)):
        table.assign(each, standing)
        each.pending = True
    old.pending = False
    # The oldest is idle and keeps its place; the youngest gives way, although it waits for a token.
    assert table.assign(sequence([4]), Standing(number=3, entitled=0)) is None
    branch = sequence([5])
    assert table.assign(branch, middle) is not None
    assert table.of(young) is None
    # Now the middle one has more than its part, and the oldest may have that.
    branch.pending = True
    assert table.assign(sequence([6]), oldest) is not None
    assert table.of(old) is not None
    assert None in (table.of(between), table.of(branch))


def test_whoever_has_less_than_its_part_takes_from_who_has_more_however_old_that_is() -> None:
    table = SlotTable(RecordingCache(3))
    oldest, youngest = choices(2, 1)
    branches = [sequence([number]) for number in range(3)]
    for each in branches:
        table.assign(each, oldest)
        each.pending = True
    other = sequence([8])
    assert table.assign(other, youngest) is not None
    other.pending = True
    assert (oldest.held, youngest.held) == (2, 1)
    # Both have their parts, and neither takes more.
    assert table.assign(sequence([9]), youngest) is None
    assert table.assign(sequence([10]), oldest) is None


def test_a_finished_text_is_missed_less_than_any_that_goes_on() -> None:
    table = SlotTable(RecordingCache(2))
    oldest, youngest = choices(1, 1)
    old, young = sequence([1]), sequence([2])
    table.assign(old, oldest)
    table.assign(young, youngest)
    old.finish("done")
    assert table.assign(sequence([3]), Standing(number=2)) is not None
    assert table.of(old) is None
    assert table.of(young) is not None
