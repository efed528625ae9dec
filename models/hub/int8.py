"""Linear layers whose weights are int8, with a scale for every output.

Activations are not rounded ("weight-only"), so nothing is calibrated. On a CPU a kernel of torch
reads the weights as they are, if a row of them is a multiple of `GRAIN`; elsewhere they are widened for each
product, which saves memory and no time."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.int8_weights import round_rows

GRAIN = 32
"""The kernel reads inputs in pieces of 8 or 16, whatever the processor; of others it reads beyond the end."""


class Int8Linear(nn.Module):
    """y = x W^T + b, with W rounded to multiples of its rows' largest entry / 127.

    weight: (out, in) int8. scale: (out,). bias: (out,), if there is one.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        rounded, scale = round_rows(weight)
        self.register_buffer("weight", rounded)
        self.register_buffer("scale", scale.to(weight.dtype))
        self.register_buffer("bias", None if bias is None else bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of x."""
        if x.device.type == "cpu" and x.dtype == torch.bfloat16 and x.shape[-1] % GRAIN == 0:
            rows = x.reshape(-1, x.shape[-1]).contiguous()
            y = torch.ops.aten._weight_int8pack_mm(rows, self.weight, self.scale)
            y = y.view(*x.shape[:-1], -1)
        else:
            y = F.linear(x, self.weight.to(x.dtype)) * self.scale
        return y if self.bias is None else y + self.bias


def count_parameters(network: Any) -> int:
    """Of a network as it was before its weights were rounded: those of rounded layers are buffers, and a head
    that shared the embedding's has its own since."""
    config = network.config.get_text_config(decoder=True)
    copied = network.get_output_embeddings() if getattr(config, "tie_word_embeddings", False) else None
    rounded = [each for each in network.modules() if isinstance(each, Int8Linear) and each is not copied]
    numbers = [*network.parameters(), *(each.weight for each in rounded)]
    numbers += [each.bias for each in rounded if each.bias is not None]
    return sum(each.numel() for each in numbers)


@torch.no_grad()
def round_weights(network: Any) -> None:
    """Put an `Int8Linear` in the place of every linear layer, the head among them. Embeddings, norms, and
    experts that share one tensor stay as they are."""
    from transformers.pytorch_utils import Conv1D

    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear:
                setattr(parent, name, Int8Linear(layer.weight, layer.bias))
            elif type(layer) is Conv1D:  # GPT-2's, a linear layer whose weights lie the other way round
                setattr(parent, name, Int8Linear(layer.weight.T.contiguous(), layer.bias))
