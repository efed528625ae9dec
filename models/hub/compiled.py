"""The blocks of a network as torch.compile makes them: one for all layers, for any number of rows."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shape_config
from transformers import Cache

from models.errors import ArtifactError, first_line
from models.hub.batched import BatchedModel, with_room
from models.hub.dtypes import require_agreement
from models.hub.masks import additive_masks, windows_of
from models.hub.pages import PAGE, pages_for
from models.hub.residual_stream import ResidualStream
from models.hub.token_pool import TokenPool
from models.language_model import Integers, PrefillRow, StepOutput, check_layers

log = logging.getLogger(__name__)

COMPILED = "torch.compile"
"""What computes such a model, in its `ModelSpec`."""

COMPILED_ROWS = (1, 3)
"""One row is compiled apart, by torch's rules; what is compiled for others takes any number of them."""


class CompiledModel:
    """A `LanguageModel` over a `BatchedModel`, whose steps run compiled blocks.

    Everything is compiled when it is made. A step that does not fit what was compiled then runs without, so
    nobody waits for a compiler.

    backend: torch's name of what compiles.

    Raises:
        ArtifactError: it cannot be compiled, or computes something else then.
    """

    def __init__(
        self, batched: BatchedModel, network: Any, stream: ResidualStream, backend: str = "inductor"
    ) -> None:
        self.spec = replace(batched.spec, kernel=COMPILED)
        self.new_cache, self.prefill = batched.new_cache, batched.prefill
        self.extend, self.score = batched.extend, batched.score
        self._network = network
        self._stream = stream
        self._windows = windows_of(network.config.get_text_config(decoder=True))
        if len(set(getattr(network, "hf_device_map", {}).values())) > 1:
            raise ArtifactError("its layers are shared out among devices")
        log.info("compiling the blocks of %s, which can take minutes", self.spec.name)
        began = monotonic()
        blocks: list[_CompiledBlock] = []
        try:
            blocks += (_CompiledBlock(block, layer, backend) for layer, block in enumerate(stream.blocks))
            # Sizes that are equal by chance are not taken for the same.
            with shape_config.patch(use_duck_shape=False):  # pyright: ignore[reportAttributeAccessIssue]
                for rows in COMPILED_ROWS:
                    self._check(batched, rows)
        except Exception as error:  # whatever a compiler stumbles over in the code of some architecture
            for block in blocks:
                block.remove()
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(f"torch.compile fails ({first_line(error)})") from error
        for block in blocks:
            block.compile_no_more()
        log.info("compiled the blocks of %s in %.0f s", self.spec.name, monotonic() - began)

    @torch.inference_mode()
    def step(
        self,
        cache: TokenPool,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        check_layers(self.spec, hidden_layers)
        ids, rows, at = with_room(cache, token_ids, slots, positions)
        # Whole pages, since some kernels want lengths that are multiples. Beyond the end of a row stands its
        # last position: nothing of another row, and no stale number.
        reach = pages_for(int(at.max()) + 1) * PAGE
        seen = cache.places(rows, np.minimum(np.arange(reach), at[:, None]))
        ids, at, into, seen = (
            torch.from_numpy(each).to(self._network.device)
            for each in (ids[:, None], at[:, None], cache.places(rows, at[:, None])[:, 0], seen)
        )
        with self._stream.reading(hidden_layers) as states:
            output = self._network(
                input_ids=ids,
                position_ids=at,
                attention_mask=additive_masks(self._windows, at, reach, self._network.dtype),
                past_key_values=_Lines(cache, into, seen),
                use_cache=True,
            )
        hidden = {layer: states[layer][:, 0].float() for layer in hidden_layers}
        return StepOutput(logits=output.logits[:, 0].float(), hidden=hidden)

    def _check(self, batched: BatchedModel, rows: int) -> None:
        """Compile the blocks for so many rows, and compare what they compute with what they are made of."""
        random = Random(rows)
        lengths = [min(2 + row, self.spec.context_length - 1) for row in range(rows)]
        cache = batched.new_cache(rows, max(lengths) + 1)
        texts = [random.choices(range(self.spec.vocab_size), k=length) for length in lengths]
        batched.prefill(cache, [PrefillRow(slot, 0, tuple(ids)) for slot, ids in enumerate(texts)])
        asked = (cache, [ids[0] for ids in texts], range(rows), lengths)
        expected = batched.step(*asked).logits
        require_agreement(self._network, "compiled", self.step(*asked).logits, expected)


class _Lines(Cache):
    """A pool during one step: rows see `seen` (B, reach) of its positions, and tokens go to `into` (B,)."""

    def __init__(self, pool: TokenPool, into: Tensor, seen: Tensor) -> None:
        super().__init__(layers=[])
        self._pool, self._into, self._seen = pool, into, seen

    def line(self, number: int) -> "_Line":
        """What the block of a layer is given in place of this."""
        return _Line(*self._pool.line(number), self._into, self._seen)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """No number is that of all rows, and none is asked for, as their masks are given."""
        return 0

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        """Length and offset of what is read."""
        return self._seen.shape[1], 0


class _Line(Cache):
    """Keys and values (heads, positions, head size) of one layer of a pool, whichever it is: for a layer's
    number, each would be compiled anew."""

    def __init__(self, keys: Tensor, values: Tensor, into: Tensor, seen: Tensor) -> None:
        super().__init__(layers=[])
        self._keys, self._values = keys, values
        self._into, self._seen = into, seen

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write (B, heads, 1, head size) and read (B, heads, reach, head size)."""
        return self._exchange(self._keys, key_states), self._exchange(self._values, value_states)

    def _exchange(self, line: Tensor, states: Tensor) -> Tensor:
        line.index_copy_(1, self._into, states[:, :, 0].transpose(0, 1))
        heads, _, size = line.shape
        rows, reach = self._seen.shape
        return line.index_select(1, self._seen.flatten()).view(heads, rows, reach, size).transpose(0, 1)


class _CompiledBlock:
    """Puts a compiled forward in front of a block's own, for passes over `_Lines`."""

    def __init__(self, block: nn.Module, layer: int, backend: str) -> None:
        self._block, self._layer = block, layer
        for module in list(block.modules())[1:]:
            # transformers' own, for weights of attention, which nobody asks for; no compiler takes them.
            module._forward_hooks.clear()  # pyright: ignore[reportPrivateUsage]
        self._eager: Callable[..., Any] = block.forward
        self._compiled: Callable[..., Any] = torch.compile(
            self._eager, fullgraph=True, dynamic=True, backend=backend
        )
        block.forward = self._forward

    def compile_no_more(self) -> None:
        """What was not compiled runs as it would without."""
        self._compiled = torch._dynamo.run(self._compiled)  # pyright: ignore[reportPrivateUsage]

    def remove(self) -> None:
        """Leave the block's forward as it was."""
        self._block.forward = self._eager

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(each, _Lines) for each in (*args, *kwargs.values())):
            return self._eager(*args, **kwargs)
        return self._compiled(
            *map(self._with_line, args), **{name: self._with_line(each) for name, each in kwargs.items()}
        )

    def _with_line(self, given: Any) -> Any:
        return given.line(self._layer) if isinstance(given, _Lines) else given
