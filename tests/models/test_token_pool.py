"""Pages of a pool, and the keys and values in them."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.hub import token_pool
from models.hub.pages import PAGE, Pages
from models.hub.token_pool import SPARE, Need, TokenPool

HEADS, SIZE = 2, 3


@given(st.data())
def test_what_a_slot_writes_is_its_own_and_free_pages_are_taken_again(data: st.DataObject) -> None:
    slots, most = 4, 6
    pages, lengths = Pages(slots, most * PAGE), [0] * slots
    for _ in range(data.draw(st.integers(1, 30))):
        slot, source = data.draw(st.integers(0, slots - 1)), data.draw(st.integers(0, slots - 1))
        if data.draw(st.booleans()) and slot != source and lengths[source]:
            end = data.draw(st.integers(1, lengths[source]))
            pages.share(source, slot, 0, end)
            assert pages_of(pages, slot, end) == pages_of(pages, source, end)
        else:
            start = data.draw(st.integers(0, min(lengths[slot], most * PAGE - 1)))
            end = data.draw(st.integers(start + 1, most * PAGE))
            pages.cut(slot, start)
            allowed = pages.taken + pages.lacking(slot, start, end)
            pages.own(slot, start, end)
            assert pages.taken <= allowed
            others = {
                page for each in range(slots) if each != slot for page in pages_of(pages, each, lengths[each])
            }
            assert not others & set(pages_of(pages, slot, end)[start // PAGE :])
        lengths[slot] = end
        held = {page for each in range(slots) for page in pages_of(pages, each, lengths[each])}
        assert pages.taken == len(held) <= slots * most
        assert max(held) < pages.trim() == max(held) + 1 <= slots * most


def pages_of(pages: Pages, slot: int, length: int) -> list[int]:
    positions = np.arange(0, length, PAGE)[None]
    return (pages.places(np.array([slot]), positions)[0] // PAGE).tolist()


class Model:
    """A pool of one layer beside what each slot should hold."""

    def __init__(self, slots: int, length: int) -> None:
        self.pool = TokenPool(slots, length, 2 * HEADS * SIZE * 4)
        self.held: list[list[float]] = [[] for _ in range(slots)]
        self.written = 0.0

    @torch.inference_mode()
    def write(self, slot: int, start: int, count: int) -> None:
        self.pool.reserve([Need(slot, start, start + count)])
        new = [self.written + 1 + each for each in range(count)]
        self.written += count
        states = torch.tensor(new)[None, None, :, None].expand(1, HEADS, count, SIZE)
        layer = self.pool.layer(0, states, states)
        for line, sign in ((layer.keys, 1), (layer.values, -1)):
            line[:, self.where(slot, start, start + count)] = sign * states[0]
        self.held[slot] = self.held[slot][:start] + new

    def where(self, slot: int, start: int, end: int) -> Tensor:
        positions = torch.arange(start, end)[None].numpy()
        return torch.from_numpy(self.pool.places(torch.tensor([slot]).numpy(), positions)[0])

    def copy(self, source: int, target: int, end: int) -> None:
        self.pool.copy(source, target, 0, end)
        if source != target:
            self.held[target] = self.held[source][:end]

    def assert_held(self) -> None:
        if not self.written:
            return
        layer = self.pool.layer(0, torch.empty(0), torch.empty(0))
        for slot, held in enumerate(self.held):
            at = self.where(slot, 0, len(held))
            assert layer.keys[:, at].tolist() == [[[each] * SIZE for each in held]] * HEADS
            assert layer.values[:, at].tolist() == [[[-each] * SIZE for each in held]] * HEADS


def test_a_layer_that_grew_before_memory_ran_out_grows_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = TokenPool(2, 100 * PAGE, 2 * HEADS * SIZE * 4)
    pool.reserve([Need(0, 0, 1)])
    states = torch.ones(1, HEADS, 1, SIZE)
    layers = [pool.layer(number, states, states) for number in range(2)]
    made = torch.Tensor.new_zeros
    given = [made(states, 1)] * 2

    def run_out(line: Tensor, *size: int) -> Tensor:
        if not given:
            raise MemoryError
        given.pop()
        return made(line, *size)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "new_zeros", run_out)
        with pytest.raises(MemoryError):
            pool.reserve([Need(1, 0, 50 * PAGE)])
    for end in (3 * PAGE, 60 * PAGE):
        pool.reserve([Need(1, 0, end)])
        place = int(pool.places(torch.tensor([1]).numpy(), torch.tensor([[end - 1]]).numpy())[0, 0])
        assert all(place < line.shape[1] for layer in layers for line in (layer.keys, layer.values))


def test_texts_of_one_beginning_hold_it_once_until_they_part() -> None:
    model, slots, length = Model(slots=32, length=2000), 32, 1000
    model.write(0, 0, length)
    for slot in range(1, slots):
        model.copy(0, slot, length)
    model.assert_held()
    assert model.pool.held_bytes <= bytes_of(int(1.15 * length))
    for slot in range(slots):
        model.write(slot, length, 3)  # into the last page, which all of them refer to
        model.assert_held()
    assert model.pool.held_bytes <= bytes_of(int(1.15 * (length + slots * 2 * PAGE)))
    model.write(0, 0, 5)
    model.write(7, 500, 100)
    model.assert_held()


def test_tokens_that_several_texts_have_in_common_are_taken_over_with_the_page_before_them() -> None:
    model = Model(slots=2, length=100)
    model.write(0, 0, PAGE + 3)
    model.copy(0, 1, PAGE + 3)
    for end in range(PAGE + 4, 4 * PAGE):
        model.write(0, end - 1, 1)
        model.pool.copy(0, 1, end - 1, end)
        model.held[1] = list(model.held[0])
        model.assert_held()
    assert model.pool.held_bytes <= bytes_of((5 + SPARE) * PAGE)


@given(st.data())
def test_slots_hold_what_was_written_whatever_grows_and_is_shared(data: st.DataObject) -> None:
    slots, length = 3, 5 * PAGE
    model = Model(slots, length)
    for _ in range(data.draw(st.integers(1, 12))):
        slot = data.draw(st.integers(0, slots - 1))
        if data.draw(st.booleans()):
            source = data.draw(st.integers(0, slots - 1))
            model.copy(source, slot, data.draw(st.integers(0, len(model.held[source]))))
        else:
            start = data.draw(st.integers(0, min(len(model.held[slot]), length - 1)))
            model.write(slot, start, data.draw(st.integers(1, length - start)))
        model.assert_held()


def bytes_of(positions: int) -> int:
    return positions * HEADS * SIZE * 4 * 2


def test_memory_follows_the_tokens_in_use() -> None:
    model = Model(slots=32, length=32_000)
    assert model.pool.held_bytes == 0
    assert model.pool.most_bytes == bytes_of(32 * 32_000)
    for slot in range(32):
        model.write(slot, 0, 10)
    assert model.pool.held_bytes <= bytes_of(32 * 10 * 8)
    model.write(5, 10, 1000)
    enough = bytes_of(2 * (32 * 64 + 1000))
    assert model.pool.held_bytes <= enough
    for start in range(0, 500, 10):
        model.write(start % 32, 0, 10)  # new short texts, one of them where the long one was
    model.write(7, 10, 900)
    assert model.pool.held_bytes <= enough


@pytest.mark.parametrize("piece", [1, 48])
@torch.inference_mode()
def test_texts_that_grow_together_take_no_more_than_what_they_may_spare(piece: int) -> None:
    model, slots, length = Model(slots=8, length=2000), 8, 9 * 48
    model.write(0, 0, 1)
    for end in range(piece, length + 1, piece):
        model.pool.reserve([Need(slot, end - piece, end) for slot in range(slots)])
    assert model.pool.held_bytes <= bytes_of(int(1.15 * slots * length))


def test_memory_is_given_back_after_long_texts() -> None:
    model = Model(slots=8, length=4000)
    for slot in range(8):
        model.write(slot, 0, 3000)
    for slot in range(8):
        model.write(slot, 0, 40)
        model.assert_held()
    assert model.pool.held_bytes <= bytes_of(4 * 8 * 3 * PAGE)
    model.write(3, 40, 500)
    model.assert_held()


def test_a_pool_that_cannot_grow_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(slots=2, length=1000)
    model.write(0, 0, 5)

    def fail(_line: Tensor, _positions: int) -> Tensor:
        raise RuntimeError("not enough memory: you tried to allocate 1 byte")

    with monkeypatch.context() as patched:
        patched.setattr(token_pool, "_resized", fail)
        with pytest.raises(RuntimeError, match="not enough memory"):
            model.write(1, 0, 900)
    model.assert_held()
    model.write(1, 0, 900)
    model.write(0, 5, 200)
    model.assert_held()


@pytest.mark.parametrize("error", [RuntimeError("not enough memory"), MemoryError()])
def test_what_a_pass_writes_has_room_also_where_memory_cannot_be_given_back(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = Model(slots=3, length=4000)
    for slot in range(3):
        model.write(slot, 0, 3000 if slot else 200)

    def fail(_line: Tensor, _positions: int) -> Tensor:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(token_pool, "_resized", fail)
        model.copy(0, 1, 150)
        model.write(2, 0, 40)
        model.assert_held()
    model.write(2, 40, 3000)
    model.write(1, 150, 1500)
    model.assert_held()


@pytest.mark.parametrize("seed", range(5))
def test_memory_that_runs_out_now_and_then_costs_no_slot_what_it_keeps(seed: int) -> None:
    resized, slots, length = token_pool.__dict__["_resized"], 4, 20 * PAGE
    model, left, random = Model(slots, length), 0, Random(seed)

    def fail(line: Tensor, positions: int) -> Tensor:
        nonlocal left
        if left == 0:
            raise RuntimeError("not enough memory")
        left -= 1
        return resized(line, positions)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(token_pool, "_resized", fail)
        for _ in range(40):
            left = random.choice([0, 1, 100])
            slot, source = random.randrange(slots), random.randrange(slots)
            end = random.randint(0, len(model.held[source]))
            start = random.choice([0, random.randint(0, min(len(model.held[slot]), length - 1))])
            if random.random() < 0.5:
                model.copy(source, slot, end)
                continue
            kept = model.held[slot][:start]
            try:
                model.write(slot, start, random.choice([1, random.randint(1, length - start)]))
            except RuntimeError:
                model.held[slot] = kept
            model.assert_held()
