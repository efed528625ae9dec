"""In what numbers a network of transformers computes."""

from typing import Any, Literal, get_args

import torch

from models.errors import SpecError

Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""`auto` is what the weights are stored in on a GPU, and float32 on a CPU, where it is mostly the fastest; with
`int8` the weights of linear layers are int8, and all else is bfloat16."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.bfloat16,
}

TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far logits may be from each other that differ by rounding only, of the largest absolute logit. What a
token should not see makes a difference of the same order as the logits."""


def dtype_of(precision: Precision, stored: object, device: str) -> torch.dtype:
    """What activations are computed in.

    Args:
        stored: the dtype that a config names, if it does.

    Raises:
        SpecError: no such precision.
    """
    if precision == "auto":
        return stored if device != "cpu" and stored in TOLERANCES else torch.float32  # type: ignore[return-value]
    if precision not in _DTYPES:
        raise SpecError(f"dtype {precision!r} is none of {', '.join(PRECISIONS)}")
    return _DTYPES[precision]


def tolerance_of(network: Any) -> float:
    """Of a network's logits; see `TOLERANCES`."""
    return TOLERANCES.get(network.dtype, TOLERANCES[torch.bfloat16])
