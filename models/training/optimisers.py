"""Muon for the matrices inside the blocks, AdamW for embeddings, norms and biases."""

import torch
from torch import Tensor

from models.gpt2 import GPT2
from models.training.config import PretrainConfig
from models.training.muon import BatchedMuon, Matrix

_ADAMW_STATE = ("exp_avg", "exp_avg_sq")


class Optimisers:
    """Both optimisers of a network, stepped and stored together."""

    def __init__(self, network: GPT2, config: PretrainConfig) -> None:
        self._config = config
        named = dict(network.named_parameters())
        matrices = {name: p for name, p in named.items() if name.startswith("blocks.") and p.ndim == 2}
        self._others = {name: p for name, p in named.items() if name not in matrices}
        self._muon = BatchedMuon(
            [Matrix(p, parts=3 if ".qkv." in name else 1) for name, p in matrices.items()],
            config.muon_momentum,
        )
        self._adamw = torch.optim.AdamW(
            self._others.values(), lr=config.adamw_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )
        # Made at once, not at the first step, so that the state has the same tensors from the start.
        for parameter in self._others.values():
            self._adamw.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                **{key: torch.zeros_like(parameter) for key in _ADAMW_STATE},
            }

    def step(self, rate_factor: float) -> None:
        """Update all weights at a fraction of the peak rates, and clear the gradients."""
        for group in self._adamw.param_groups:
            group["lr"] = self._config.adamw_rate * rate_factor
        self._adamw.step()
        self._adamw.zero_grad()
        self._muon.step(self._config.muon_rate * rate_factor)

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name; writing into them restores the state."""
        state = {f"muon.{name}": tensor for name, tensor in self._muon.state_dict().items()}
        for name, parameter in self._others.items():
            for key in ("step", *_ADAMW_STATE):
                state[f"adamw.{name}.{key}"] = self._adamw.state[parameter][key]
        return state
