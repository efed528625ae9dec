"""Slots: prefixes that are found, and whose place is given away."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from app.decoding.context import Ledger
from app.decoding.sampling_params import SamplingParams
from app.decoding.sequence import Sequence
from app.decoding.span import SequenceSpec
from app.decoding.types import StoppingParams
from app.engine.slots import FIRST, MIN_SHARED_PREFIX, Rank, Slot, SlotTable, shared_prefix

BEHIND: Rank = (True, 0)


@dataclass
class RecordingCache:
    """A cache that only remembers what was copied."""

    slots: int
    length: int = 100
    copies: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self.copies.append((source, target, start, end))


def sequence(ids: list[int]) -> Sequence:
    spec = SequenceSpec(tuple(ids), SamplingParams(), StoppingParams(50), 100, (), [b"x"] * 100, lambda _: [])
    return Sequence(spec, Ledger())


def place(table: SlotTable, each: Sequence) -> Slot:
    table.tick += 1
    slot = table.assign(each)
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
    assert table.assign(first) is None
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
    slot = table.assign(second)
    assert slot is not None
    assert slot.valid == len(prompt)
    assert cache.copies == []  # taken over where it lay


def test_a_fork_copies_what_it_shares_with_where_it_came_from() -> None:
    cache = RecordingCache(3)
    table = SlotTable(cache)
    parent = sequence([1, 2, 3])
    parent.force([4, 5])
    place(table, parent)
    (child,) = parent.fork()
    parent.rewind(0, "x")
    parent.force([9])
    slot = table.assign(child)
    assert slot is not None
    assert slot.valid == 3
    assert cache.copies == [(0, 1, 0, 3)]


def test_a_short_common_prefix_is_not_worth_a_copy() -> None:
    cache = RecordingCache(2)
    table = SlotTable(cache)
    short = list(range(MIN_SHARED_PREFIX - 1))
    first = sequence([*short, 90])
    place(table, first)
    second = table.assign(sequence([*short, 91]))
    assert second is not None
    assert second.valid == 0


def test_rewinding_shortens_what_the_slot_holds() -> None:
    table = SlotTable(RecordingCache(1))
    each = sequence([1, 2])
    each.force([3, 4])
    slot = place(table, each)
    each.rewind(1, "x")
    each.force([8, 9])
    assert slot.valid == 3


def test_the_background_gives_way_and_takes_nothing_from_the_live() -> None:
    table = SlotTable(RecordingCache(2))
    live, behind = sequence([1]), sequence([2])
    place(table, live)
    table.assign(behind, BEHIND)
    behind.pending = True
    assert (table.open(BEHIND), table.open(FIRST)) == (0, 2)
    # The live one is idle, yet it keeps its slot; so does the one in the background that waits.
    assert table.assign(sequence([3]), BEHIND) is None
    other = sequence([4])
    assert place(table, other).index == 1
    assert table.of(behind) is None
    assert table.assign(behind, BEHIND) is None
    seized = table.assign(behind, BEHIND, seize=True)
    assert seized is not None
    assert seized.index == 0
    assert table.of(live) is None


def test_older_choices_have_the_slots_of_younger_ones_and_keep_their_own() -> None:
    table = SlotTable(RecordingCache(3))
    old, middle, young = sequence([1]), sequence([2]), sequence([3])
    for number, each in enumerate((old, middle, young)):
        table.assign(each, (False, number))
        each.pending = True
    old.pending = False
    # The oldest is idle and keeps its place; the youngest gives way, although it waits for a token.
    assert table.assign(sequence([4]), (False, 3)) is None
    branch = sequence([5])
    slot = table.assign(branch, (False, 1))
    assert slot is not None
    assert table.of(young) is None
    branch.pending = True
    other = table.assign(sequence([6]), (False, 0))
    assert other is not None
    assert table.of(old) is not None
    assert None in (table.of(middle), table.of(branch))


def test_a_finished_text_is_missed_less_than_any_that_goes_on() -> None:
    table = SlotTable(RecordingCache(2))
    old, young = sequence([1]), sequence([2])
    table.assign(old, (False, 0))
    table.assign(young, (False, 1))
    old.finish("done")
    assert table.assign(sequence([3]), (False, 2)) is not None
    assert table.of(old) is None
    assert table.of(young) is not None
