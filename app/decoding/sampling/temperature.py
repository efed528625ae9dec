"""Transforms that make a distribution sharper or flatter and remove nothing."""

import torch
from torch import Tensor

from app.decoding.sampling.measures import entropy_of

# Division by less would be by zero; at this every logit but the highest is far beyond exp's range.
_COLDEST = 1e-30


def apply_temperature(logits: Tensor, temperature: Tensor) -> Tensor:
    """Softmax sharpness: (l - max l) / temperature, for temperatures above 0.

    The maximum is taken off first, so that even 1e-30 overflows to nothing worse than -inf.
    """
    return (logits - logits.amax(dim=-1, keepdim=True)) / temperature.unsqueeze(-1)


def apply_dynamic_temperature(
    logits: Tensor, temperature: Tensor, spread: Tensor, exponent: Tensor
) -> Tensor:
    """Hotter where the model is less certain (llama.cpp's `temp_ext`).

    T = low + (high - low) * (H / H_max) ^ exponent, with low = max(0, temperature - spread),
    high = temperature + spread, H the entropy and H_max = ln(number of possible tokens).
    """
    low = (temperature - spread).clamp_min(0.0)
    high = temperature + spread
    most = (logits > -torch.inf).sum(dim=-1).double().log()
    # With one token there is nothing to be uncertain of, and its logit does not matter.
    certainty = (entropy_of(logits.double().softmax(dim=-1)) / most.clamp_min(_COLDEST)).clamp(0.0, 1.0)
    effective = low + (high - low) * certainty.pow(exponent)
    return apply_temperature(logits, effective.clamp_min(_COLDEST).to(logits.dtype))


def apply_edt(logits: Tensor, temperature: Tensor, base: Tensor, theta: Tensor) -> Tensor:
    """Entropy-based dynamic temperature (Zhang et al., 2024, arXiv 2403.14541).

    T = temperature * base ^ (theta / H), H the entropy in nats: `temperature` where the model is
    uncertain, towards 0 where it is certain. The paper has base 0.8.
    """
    entropy = entropy_of(logits.double().softmax(dim=-1))
    effective = temperature * base.double().pow(theta / entropy)
    return apply_temperature(logits, effective.clamp_min(_COLDEST).to(logits.dtype))


def apply_smoothing(logits: Tensor, factor: Tensor, curve: Tensor) -> Tensor:
    """Quadratic smoothing (text-generation-webui's `quadratic_sampling`).

    With d = l - max l:  l' = factor * (-(3 - curve) / 2 * d^2 + (curve - 1) / 2 * d^3).
    A `curve` of 1 is a parabola; more makes the tail fall faster.
    """
    # In float64 the cube of the largest float32 is still finite.
    below = (logits - logits.amax(dim=-1, keepdim=True)).double()
    possible = below > -torch.inf
    finite = below.masked_fill(~possible, 0.0)
    k = (3.0 - curve).unsqueeze(-1) / 2
    s = (curve - 1.0).unsqueeze(-1) / 2
    smoothed = factor.unsqueeze(-1) * finite.square() * (s * finite - k)
    return smoothed.masked_fill(~possible, -torch.inf).to(logits.dtype)
