"""What a network computes on its way to the logits: its residual stream, read by hooks on its blocks."""

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ArtifactError


class ResidualStream:
    """The input of a network's first block, as layer 0, and the output of block k, as layer k.

    The hooks are registered once; they keep what `reading` asks for.

    Raises:
        ArtifactError: the network hides the residual stream between its blocks.
    """

    def __init__(self, network: Any, n_layers: int) -> None:
        # The first list of as many modules as there are layers, checked by running them.
        lists = (m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) == n_layers)
        self.blocks: Sequence[nn.Module] = list(next(lists, ()))
        self._wanted: Collection[int] = ()
        self._states: dict[int, Tensor] = {}
        try:
            self._hook(self.blocks)
            with torch.inference_mode(), self.reading(range(n_layers)) as states:
                token = torch.zeros(1, 1, dtype=torch.int64, device=network.device)
                expected = network(input_ids=token, output_hidden_states=True).hidden_states
            # transformers gives the last layer's states after the final norm, so not those.
            found = all(torch.equal(states[layer], expected[layer]) for layer in range(n_layers))
        except (LookupError, TypeError) as error:
            raise ArtifactError(f"a {network.config.model_type} model hides its blocks: {error}") from error
        if not found:
            raise ArtifactError(f"a {network.config.model_type} model hides its residual stream")

    @contextmanager
    def reading(self, layers: Sequence[int]) -> Generator[dict[int, Tensor]]:
        """Keep the states (B, T, D) of these layers of the pass that runs meanwhile."""
        self._wanted, self._states = frozenset(layers), {}
        try:
            yield self._states
        finally:
            self._wanted, self._states = (), {}

    def _hook(self, blocks: Sequence[nn.Module]) -> None:
        blocks[0].register_forward_pre_hook(self._keep_input, with_kwargs=True)
        for layer, block in enumerate(blocks, start=1):
            block.register_forward_hook(partial(self._keep_output, layer))

    def _keep_input(self, _block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if 0 in self._wanted:
            self._states[0] = args[0] if args else kwargs["hidden_states"]

    def _keep_output(self, layer: int, _block: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if layer in self._wanted:
            self._states[layer] = output[0] if isinstance(output, tuple) else output
