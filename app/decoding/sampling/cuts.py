"""Cuts by a threshold: what a token's own probability decides, without any order among tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.sampling.declaration import ShapeStep, sampler
from app.decoding.sampling.measures import entropy_of, remove
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.setting import flag, number


def apply_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Keep tokens of at least `min_p` times the highest probability (Nguyen et al., 2025)."""
    threshold = logits.amax(dim=-1, keepdim=True) + min_p.log().unsqueeze(-1)
    return logits.masked_fill(logits < threshold, -torch.inf)


@sampler("min_p", ShapeStep(apply_min_p), place=70, source="arXiv 2407.01082")
@dataclass(frozen=True)
class MinP:
    """Keeps tokens of at least a share of the highest probability."""

    min_p: float = number(
        0.0,
        Range(0, 1, "0 turns it off"),
        "Draw among tokens with at least min_p times the probability of the likeliest.",
    )


def apply_top_n_sigma(logits: Tensor, n: Tensor) -> Tensor:
    """Keep logits of at least max - n * sigma (Tang et al., 2024, arXiv 2411.07641), for n above 0.

    sigma is the standard deviation of the logits of all possible tokens, divided by their number as in
    llama.cpp. Any temperature before it changes nothing about what is kept.
    """
    values = logits.double()
    possible = values > -torch.inf
    count = possible.sum(dim=-1, keepdim=True)
    mean = values.masked_fill(~possible, 0.0).sum(dim=-1, keepdim=True) / count
    variance = (values - mean).masked_fill(~possible, 0.0).square().sum(dim=-1, keepdim=True) / count
    threshold = values.amax(dim=-1, keepdim=True) - n.unsqueeze(-1) * variance.sqrt()
    return remove(logits, values < threshold)


@sampler("top_n_sigma", ShapeStep(apply_top_n_sigma), place=30, source="arXiv 2411.07641")
@dataclass(frozen=True)
class TopNSigma:
    """Keeps logits within n standard deviations of the highest."""

    top_n_sigma: float = number(
        0.0,
        Range(0, 1000, "0 turns it off"),
        "Draw among logits within n standard deviations of the highest.",
        off=-1,
    )


def apply_epsilon_cutoff(logits: Tensor, epsilon: Tensor) -> Tensor:
    """Keep tokens of probability at least `epsilon` (Hewitt et al., 2022, arXiv 2210.15191)."""
    return remove(logits, logits.softmax(dim=-1) < epsilon.unsqueeze(-1))


@sampler("epsilon_cutoff", ShapeStep(apply_epsilon_cutoff), place=80, source="arXiv 2210.15191")
@dataclass(frozen=True)
class EpsilonCutoff:
    """Keeps tokens of at least a probability."""

    epsilon_cutoff: float = number(
        0.0,
        Range(0, 1, "a probability; 0 turns it off"),
        "Draw among tokens of at least this probability. As in transformers; text-generation-webui counts "
        "in units of 0.0001.",
    )


def apply_eta_cutoff(logits: Tensor, epsilon: Tensor) -> Tensor:
    """Keep tokens of probability at least min(epsilon, sqrt(epsilon) * exp(-H)) (Hewitt et al., 2022)."""
    probs = logits.softmax(dim=-1)
    eta = torch.minimum(epsilon, epsilon.sqrt() * (-entropy_of(probs)).exp())
    return remove(logits, probs < eta.unsqueeze(-1))


@sampler("eta_cutoff", ShapeStep(apply_eta_cutoff), place=90, source="arXiv 2210.15191")
@dataclass(frozen=True)
class EtaCutoff:
    """Keeps tokens of at least a probability that falls with the entropy."""

    eta_cutoff: float = number(
        0.0,
        Range(0, 1, "a probability; 0 turns it off"),
        "The same with the smaller of eta and sqrt(eta) * exp(-entropy). As in transformers; "
        "text-generation-webui counts in units of 0.0001.",
    )


def apply_p_less(logits: Tensor) -> Tensor:
    """Keep tokens of probability at least sum p^2 (Tan et al., 2025, arXiv 2509.23234).

    That is the chance that two draws agree: no parameter, and high where the model is certain.
    """
    probs = logits.softmax(dim=-1)
    return remove(logits, probs < probs.square().sum(dim=-1, keepdim=True))


@sampler("p_less", ShapeStep(apply_p_less, reads=()), place=110, source="arXiv 2509.23234")
@dataclass(frozen=True)
class PLess:
    """Keeps tokens of at least the sum of all squared probabilities."""

    p_less: bool = flag("Draw among tokens of at least the sum of all squared probabilities.")


def apply_top_a(logits: Tensor, top_a: Tensor) -> Tensor:
    """Keep tokens of probability at least `top_a` times the square of the highest (text-generation-webui)."""
    probs = logits.softmax(dim=-1)
    best = probs.amax(dim=-1, keepdim=True)
    return remove(logits, probs < top_a.unsqueeze(-1) * best.square())


@sampler("top_a", ShapeStep(apply_top_a), place=120, source="text-generation-webui")
@dataclass(frozen=True)
class TopA:
    """Keeps tokens of at least a share of the highest probability squared."""

    top_a: float = number(
        0.0,
        Range(0, 1, "0 turns it off"),
        "Draw among tokens of at least top_a times the square of the highest.",
    )


def apply_xtc(logits: Tensor, probability: Tensor, threshold: Tensor, coins: Tensor) -> Tensor:
    """Exclude top choices (llama.cpp and text-generation-webui): with chance `probability`, remove all
    tokens that reach `threshold` but the least likely of them.

    coins: (R,) float64 in [0, 1); the row is cut where its coin is below `probability`.
    """
    # A threshold of 0 is reached by every possible token, and by none that was removed.
    reached = (logits.softmax(dim=-1) >= threshold.unsqueeze(-1)) & (logits > -torch.inf)
    least = logits.masked_fill(~reached, torch.inf).amin(dim=-1, keepdim=True)
    cut = (coins < probability).unsqueeze(-1)
    return logits.masked_fill(cut & (logits > least), -torch.inf)


@sampler("xtc", ShapeStep(apply_xtc, tosses=True), place=140, source="text-generation-webui")
@dataclass(frozen=True)
class Xtc:
    """Now and then removes the top choices but the least likely of them."""

    xtc_probability: float = number(
        0.0,
        Range(0, 1, "0 turns it off"),
        "How often XTC removes all tokens that reach xtc_threshold but the least likely of them.",
    )
    xtc_threshold: float = number(
        0.1, Range(0, 1, "above 0.5 it removes nothing"), "Of xtc_probability: what counts as a top choice."
    )
