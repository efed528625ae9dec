"""From a batch to its loss."""

import shutil
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.gpt2 import GPT2
from models.training.bfloat16 import has_bfloat16
from models.training.cross_entropy import cross_entropy
from models.training.packing import Batch


def loss_function(
    network: GPT2, device: torch.device, compile_network: bool | None
) -> Callable[[Batch], Tensor]:
    """A function from a batch to the weighted loss and the mean loss on solutions, in nats per token.

    Args:
        compile_network: use torch.compile; None where a C++ compiler or CUDA is found. torch keeps what it
            compiled on disk, where the next run of the same shapes finds it.
    """
    if compile_network is None:
        compile_network = device.type == "cuda" or any(
            shutil.which(name) for name in ("g++", "clang++", "c++")
        )
    stream = torch.compile(network.stream) if compile_network else network.stream
    autocast = has_bfloat16(device)

    def losses(batch: Batch) -> Tensor:
        def there(array: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(array).to(device, non_blocking=True)

        learnt = np.flatnonzero(batch.weights)
        weights = batch.weights.ravel()[learnt]
        solution = (weights == 1).astype(np.float32)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            states = stream(there(batch.token_ids), there(batch.positions), there(batch.documents))
            # Padding and prompts that weigh nothing are a fifth of some corpora: no logits of them.
            states = network.final_norm(states.flatten(0, 1)[there(learnt)])
            loss, nats = cross_entropy(
                states,
                network.token_embedding.weight,
                there(batch.targets.ravel()[learnt]),
                there(weights / weights.sum()),
            )
        return torch.stack((loss, nats @ there(solution / solution.sum())))

    return losses
