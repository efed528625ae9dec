"""In what numbers a network computes."""

from typing import TYPE_CHECKING, Any, Literal, get_args

from models.errors import ArtifactError, SpecError

if TYPE_CHECKING:
    import torch  # settings name a precision, and need no torch for it

Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""`auto` is what the weights are stored in on a GPU, and float32 on a CPU, where that is mostly fastest; with
`int8` the weights of linear layers are int8, and all else is bfloat16, or float32 in our own networks."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

OWN: tuple[Precision, ...] = ("auto", "float32", "int8")
"""What our own networks compute in."""

NUMBER_BYTES = {"auto": 4, "float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Memory of a weight, at most but for the few that `int8` leaves as they are."""

TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""How far logits may be from each other that differ by rounding only, of the largest absolute logit. What a
token should not see makes a difference of the same order as the logits."""


def dtype_of(precision: Precision, stored: "torch.dtype | None", device: str) -> "torch.dtype":
    """What activations are computed in.

    Args:
        stored: the dtype that a config names, if it does.

    Raises:
        SpecError: no such precision.
    """
    import torch

    if precision not in PRECISIONS:
        raise SpecError(f"dtype {precision!r} is none of {', '.join(PRECISIONS)}")
    if precision == "auto":
        return torch.float32 if stored is None or device == "cpu" else stored
    return {"int8": torch.bfloat16}.get(precision) or getattr(torch, precision)


def require_own(precision: Precision) -> None:
    """Refuse what a network of our own does not compute in.

    Raises:
        SpecError: it is none of `OWN`.
    """
    if precision not in PRECISIONS:
        raise SpecError(f"dtype {precision!r} is none of {', '.join(PRECISIONS)}")
    if precision not in OWN:
        raise SpecError(
            f"dtype {precision!r} is for models of other makes; demur's own networks compute in float32, "
            f"with weights of bfloat16 as they are stored, or of int8: give one of {', '.join(OWN)}"
        )


def name_of(dtype: "torch.dtype") -> str:
    """As `Precision` and configs have it."""
    return str(dtype).removeprefix("torch.")


def tolerance_of(network: Any) -> float:
    """Of a network's logits; see `TOLERANCES`."""
    return TOLERANCES.get(name_of(network.dtype), TOLERANCES["bfloat16"])


def require_agreement(network: Any, how: str, found: "torch.Tensor", expected: "torch.Tensor") -> None:
    """Refuse logits that were computed some other way if they differ from a network's by more than rounding.

    how: in a word, for the message.

    Raises:
        ArtifactError: they do.
    """
    scale, difference = float(expected.abs().max()), float((found - expected).abs().max())
    if not difference <= tolerance_of(network) * scale:
        raise ArtifactError(f"{how} its logits differ by {difference:.2g}, of {scale:.2g} at most")
