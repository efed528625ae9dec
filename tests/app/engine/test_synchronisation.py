"""How often a tick waits for the device: once, when what it drew comes to the host."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from app.decoding.sampling.params import SamplingParams
from app.engine.loop import DecodingLoop
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from tests.app.engine.tiny import TinyCheckpoint, ask, tiny_model
from tests.probes.tiny import positions, random_probe

READS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
"""Methods by which the host learns what a tensor holds."""
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal")
"""Operations whose result, or its size, the host has to know; masks as indices are others."""


class Operations(TorchDispatchMode):
    """Notes operations that wait for the device. A transfer on a CPU is none, so methods are watched too."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self._waits = waits

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        masks = args[1] if name in ("index", "index_put", "index_put_", "_index_put_impl_") else ()
        by_mask = any(each is not None and each.dtype is torch.bool for each in masks)
        if name in WAITING or by_mask:
            self._waits.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def watched() -> Generator[list[str]]:
    """What made the host wait meanwhile; a method that calls another one counts once."""
    waits: list[str] = []
    inside = False

    def watching(name: str) -> Any:
        original = getattr(Tensor, name)

        def watch(tensor: Tensor, *args: Any, **rest: Any) -> Any:
            nonlocal inside
            # `numpy` of what `cpu` brought is no other transfer; nor is what these do themselves.
            if inside or (name == "numpy" and waits[-1:] == ["cpu"]):
                return original(tensor, *args, **rest)
            waits.append(name)
            inside, before = True, len(waits)
            try:
                return original(tensor, *args, **rest)
            finally:
                inside = False
                del waits[before:]

        return watch

    with pytest.MonkeyPatch.context() as patch, Operations(waits):
        for name in READS:
            patch.setattr(Tensor, name, watching(name))
        yield waits


CASES: dict[str, tuple[dict[str, Any], int]] = {
    "greedy": ({"sampling": SamplingParams(temperature=0)}, 1),
    "sampled": ({}, 1),
    "a whole chain": (
        {
            "sampling": SamplingParams(
                temperature=0.8, min_p=0.02, xtc_probability=0.5, repetition_penalty=1.2
            )
        },
        3,
    ),
    "signals, alternatives and a probe": (
        {"signals": ("entropy", "surprisal", "margin", "probe:mean"), "top_logprobs": 3},
        3,
    ),
}


@pytest.mark.parametrize(("fields", "n"), CASES.values(), ids=CASES)
def test_a_tick_waits_once(fields: dict[str, Any], n: int) -> None:
    probe = random_probe("mean", positions([10], [20])["every"], [1], 32)
    request: GenerationRequest = ask(n=n, max_tokens=20, **fields)
    with torch.inference_mode():
        loop = DecodingLoop(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=4), [probe])
        loop.submit(request, Stream(lambda _: None))
        for _ in range(3):  # the prompt is read, and the chain is compiled
            loop.tick()
        with watched() as waits:
            for _ in range(4):
                loop.tick()
    assert waits == ["cpu"] * 4


def test_what_waits_is_noticed() -> None:
    with watched() as waits:
        numbers = torch.arange(3)
        assert numbers.sum().item() == 3
        assert numbers.tolist() == [0, 1, 2]
        assert bool(numbers.any())
        numbers[numbers > 1] = 0
        numbers[0] = 1
        _ = numbers.numpy()
        _ = numbers.cpu().numpy()
    assert waits == ["item", "tolist", "__bool__", "index_put_", "numpy", "cpu"]
