"""A model that fails when it is told to."""

from collections.abc import Sequence as Items

import torch

from models.decoder import SlotCache
from models.language_model import Integers, PrefillRow, StepOutput
from tests.app.engine.tiny import tiny_model


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
        output = tiny_model().prefill(cache, rows, hidden_layers)
        return self._call(output, cache, [row.slot for row in rows])

    def step(
        self,
        cache: SlotCache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Items[int] = (),
    ) -> StepOutput:
        output = tiny_model().step(cache, token_ids, slots, positions, hidden_layers)
        return self._call(output, cache, list(slots))

    def extend(self, cache: SlotCache, row: PrefillRow, hidden_layers: Items[int] = ()) -> StepOutput:
        return self._call(tiny_model().extend(cache, row, hidden_layers), cache, [row.slot])

    def score(self, token_ids: Items[int], hidden_layers: Items[int] = ()) -> StepOutput:
        return self._call(tiny_model().score(token_ids, hidden_layers), None, [])

    def _call(self, output: StepOutput, cache: SlotCache | None, slots: list[int]) -> StepOutput:
        self.calls += 1
        if self.calls in self.failing:
            if cache is not None:  # whatever it was doing, it did not finish
                cache.values[:, slots] = 50.0
            raise RuntimeError("out of memory")
        if self.broken_slot in slots:
            output.logits[slots.index(self.broken_slot)] = torch.nan
        return output
