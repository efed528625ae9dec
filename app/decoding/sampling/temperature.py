"""Transforms that make a distribution sharper or flatter and remove nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.sampling.declaration import ShapeStep, require_one, sampler
from app.decoding.sampling.measures import entropy_of
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.setting import number

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


def _require_one_rule(params: "Temperature") -> None:
    require_one(params, "dynatemp_range", "edt_theta", "both set the temperature")


@sampler(
    "temperature",
    ShapeStep(
        apply_temperature,
        ("temperature",),
        when=lambda params: params.dynatemp_range == 0 and params.edt_theta == 0,
    ),
    ShapeStep(
        apply_dynamic_temperature,
        ("temperature", "dynatemp_range", "dynatemp_exponent"),
        when=lambda params: params.dynatemp_range > 0,
    ),
    ShapeStep(apply_edt, ("temperature", "edt_base", "edt_theta"), when=lambda params: params.edt_theta > 0),
    place=10,
    source="llama.cpp; arXiv 2403.14541",
    switches=("temperature", "dynatemp_range", "edt_theta"),
    check=_require_one_rule,
)
@dataclass(frozen=True)
class Temperature:
    """Sharpens or flattens: fixed, by the entropy's share of its maximum, or by base ^ (theta / entropy)."""

    temperature: float = number(
        1.0,
        Range(0, 100, "0 takes the likeliest token"),
        "Divides the logits: 1 draws from the model's own distribution.",
    )
    dynatemp_range: float = number(
        0.0,
        Range(0, 100, "0 turns it off"),
        "Dynamic temperature, llama.cpp's: from temperature - range where the model is certain to "
        "temperature + range where it is not.",
    )
    dynatemp_exponent: float = number(
        1.0,
        Range(0, 100, "1 is linear in the entropy"),
        "How dynatemp_range follows the entropy's share of its maximum.",
    )
    edt_theta: float = number(
        0.0,
        Range(0, 100, "0 turns it off"),
        "Entropy-dependent temperature (arXiv 2403.14541): temperature * edt_base ^ (edt_theta / entropy).",
    )
    edt_base: float = number(0.8, Range(0.01, 1, "the paper has 0.8"), "Of edt_theta.")


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


@sampler("quadratic", ShapeStep(apply_smoothing), place=20, source="text-generation-webui")
@dataclass(frozen=True)
class Quadratic:
    """Bends the logits along a parabola."""

    smoothing_factor: float = number(
        0.0,
        Range(0, 100, "0 turns it off"),
        "Quadratic smoothing, text-generation-webui's: a parabola through the logits.",
    )
    smoothing_curve: float = number(
        1.0, Range(1, 10, "1 is a parabola"), "Of smoothing_factor: how much faster the tail falls."
    )
