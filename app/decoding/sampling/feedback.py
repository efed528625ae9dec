"""Samplers that follow the tokens drawn before: mirostat and adaptive-p.

What they remember of a text is one number, kept with each token that they drew (`SamplerState`). So it
is right after a rewind and in a fork, and no generator or global holds any of it.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from app.decoding.sampling.declaration import FeedbackStep, sampler
from app.decoding.sampling.measures import remove
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.ranked import apply_top_k
from app.decoding.sampling.setting import number

_MIROSTAT_TOKENS = 100  # that the tail's exponent is estimated from; llama.cpp's m

_LOG_ZERO = -100.0  # of a probability, against the highest, that is as good as 0 and says nothing of a tail

# llama.cpp's constants of adaptive-p.
_WIDTH = 0.3
_PEAK = 5.0
_SHARPNESS = 10.0


def apply_mirostat(logits: Tensor, mu: Tensor) -> Tensor:
    """Mirostat (Basu et al., 2021, arXiv 2007.14966): top-k, with k from a fitted Zipf tail.

    mu: (R,) the most surprise, in bits. With s the exponent of the 100 likeliest tokens, estimated by
    least squares, e = s - 1 and N tokens in the vocabulary: k = (e * 2^mu / (1 - N^-e)) ^ (1 / s), rounded
    down, at least 1.
    """
    vocab_size = logits.shape[-1]
    best = logits.amax(dim=-1, keepdim=True).double()
    ranked = logits.topk(min(_MIROSTAT_TOKENS, vocab_size), dim=-1).values - best
    falls = -ranked.diff(dim=-1)
    known = ranked[:, 1:] > _LOG_ZERO
    places = torch.arange(1, ranked.shape[-1], dtype=torch.float64, device=logits.device)
    steps = ((places + 1) / places).log().expand_as(falls)
    squares = steps.square().masked_fill(~known, 0.0).sum(dim=-1)
    s = (steps * falls).masked_fill(~known, 0.0).sum(dim=-1) / squares
    e = s - 1.0
    decades = math.log(max(vocab_size, 2))
    # e / (1 - N^-e) is positive everywhere, and 1 / ln N where e is 0.
    share = torch.where(e.abs() < 1e-12, 1 / decades, e / -torch.expm1(-e * decades))
    log_k = (share.log() + mu * math.log(2)) / s
    # A flat distribution has s = 0, and a single token none at all.
    k = log_k.nan_to_num(nan=0.0).clamp(0.0, decades).exp().floor().clamp(1, vocab_size)
    return apply_top_k(logits, k.long())


def apply_mirostat_v2(logits: Tensor, mu: Tensor) -> Tensor:
    """Mirostat 2 (llama.cpp): keep tokens whose surprise, -log2 p, is at most `mu` (R,)."""
    surprise = -logits.log_softmax(dim=-1).double() / math.log(2)
    return remove(logits, surprise > mu.unsqueeze(-1))


def mirostat_mu(mu: float, logprob: float, tau: float, eta: float) -> float:
    """Mirostat's mu after a token: mu - eta * (surprise - tau), in bits. It begins at 2 * tau.

    logprob: the token's, in nats, among those that were left to draw from.
    """
    return mu - eta * (-logprob / math.log(2) - tau)


_mirostat = partial(
    FeedbackStep,
    begin=lambda params: 2 * params.mirostat_tau,
    learn=lambda params, mu, logprob: mirostat_mu(mu, logprob, params.mirostat_tau, params.mirostat_eta),
)


@sampler(
    "mirostat",
    _mirostat(apply_mirostat, when=lambda params: params.mirostat == 1),
    _mirostat(apply_mirostat_v2, when=lambda params: params.mirostat == 2),
    place=10,
    source="arXiv 2007.14966, llama.cpp",
)
@dataclass(frozen=True)
class Mirostat:
    """Keeps the surprise per token at `mirostat_tau` bits."""

    mirostat: int = number(
        0,
        Range(0, 2, "1 and 2 are its versions, 0 turns it off"),
        "Mirostat: cut so that the text's surprise per token comes to mirostat_tau.",
    )
    mirostat_tau: float = number(
        5.0, Range(0, 100, "bits of surprise to aim at"), "Of mirostat.", double=True
    )
    mirostat_eta: float = number(0.1, Range(0, 1, "how fast it learns"), "Of mirostat.", double=True)


def apply_adaptive_p(logits: Tensor, target: Tensor) -> Tensor:
    """Adaptive-p (llama.cpp #17927): prefer tokens whose probability is near `target` (R,).

    With d = |p - target| / 0.3:  l' = 5 - 10 * d^2 / (1 + d).
    """
    probs = logits.softmax(dim=-1).double()
    distance = (probs - target.unsqueeze(-1)).abs() / _WIDTH
    preferred = _PEAK - _SHARPNESS * distance.square() / (1 + distance)
    return preferred.to(logits.dtype).masked_fill(logits == -torch.inf, -torch.inf)


def adapted_target(target: float, average: float) -> float:
    """What to aim at next so that the running average of probabilities comes to `target`."""
    return min(1.0, max(0.0, 2 * target - average))


def adaptive_average(average: float, logprob: float, decay: float) -> float:
    """The running average of drawn tokens' probabilities after one more. It begins at the target.

    logprob: the token's, in nats, before adaptive-p. llama.cpp keeps a weighted sum and the sum of its
    weights; as it starts, the latter is 1 / (1 - decay) for ever, which makes their ratio this average.
    """
    return decay * average + (1 - decay) * math.exp(logprob)


@sampler(
    "adaptive_p",
    FeedbackStep(
        apply_adaptive_p,
        begin=lambda params: params.adaptive_target,
        aim=lambda params, average: adapted_target(params.adaptive_target, average),
        learn=lambda params, average, logprob: adaptive_average(average, logprob, params.adaptive_decay),
        learns_from="before",
    ),
    place=20,
    source="llama.cpp #17927",
)
@dataclass(frozen=True)
class AdaptiveP:
    """Prefers tokens near a probability, on average."""

    adaptive_target: float = number(
        -1.0,
        Range(-1, 1, "a probability to aim at; below 0 turns it off"),
        "Adaptive-p, llama.cpp's: prefer tokens near this probability, on average.",
        double=True,
        off_below=0.0,
    )
    adaptive_decay: float = number(
        0.9, Range(0, 0.99, "how long it remembers"), "Of adaptive_target.", double=True
    )
