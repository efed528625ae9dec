"""Regions of a line, and keys and values that move with them."""

from contextlib import suppress
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.hub import token_pool
from models.hub.regions import Region, Regions
from models.hub.token_pool import GRAIN, Need, TokenPool

HEADS, SIZE = 2, 3


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_regions_never_overlap_and_gaps_are_used_again(acts: list[tuple[bool, int]]) -> None:
    line, taken = Regions(), list[Region]()
    for gives_back, number in acts:
        if gives_back and taken:
            line.give_back(taken.pop(number % len(taken)))
        else:
            region = line.take(number)
            assert region.size == number
            taken.append(region)
        owned = [position for region in taken for position in range(region.start, region.end)]
        assert len(owned) == len(set(owned))
        assert line.length == max((region.end for region in taken), default=0)
        assert (line.taken, line.gaps) == (len(owned), line.length - len(owned))
    for region in taken:
        line.give_back(region)
    assert line.length == 0
    assert line.take(5) == Region(0, 5)


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
    pool = TokenPool(2, 100 * GRAIN, 2 * HEADS * SIZE * 4)
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
            pool.reserve([Need(1, 0, 50 * GRAIN)])
    for end in (3 * GRAIN, 60 * GRAIN):
        pool.reserve([Need(1, 0, end)])
        place = int(pool.places(torch.tensor([1]).numpy(), torch.tensor([[end - 1]]).numpy())[0, 0])
        assert all(place < line.shape[1] for layer in layers for line in (layer.keys, layer.values))


@given(st.data())
def test_slots_hold_what_was_written_whatever_grows_and_moves(data: st.DataObject) -> None:
    slots, length = 3, 5 * GRAIN
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
    assert model.pool.held_bytes <= bytes_of(int(1.25 * 1.25 * 1.1 * slots * length))


def test_memory_is_given_back_after_long_texts() -> None:
    model = Model(slots=8, length=4000)
    for slot in range(8):
        model.write(slot, 0, 3000)
    for slot in range(8):
        model.write(slot, 0, 40)
        model.assert_held()
    assert model.pool.held_bytes <= bytes_of(4 * 8 * 3 * GRAIN)
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
    resized, slots, length = token_pool.__dict__["_resized"], 4, 20 * GRAIN
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
            with suppress(RuntimeError):
                if random.random() < 0.5:
                    model.copy(source, slot, end)
                else:
                    model.write(slot, start, random.choice([1, random.randint(1, length - start)]))
            model.assert_held()
