"""Cuts by rank: what is kept depends on how tokens compare, so they are looked at from the foremost on.

Real distributions are steep, and sorting a vocabulary costs more than the whole step. So these look at
the foremost 64 tokens, then at 8 times as many for the rows that need more, and so on. On a GPU they sort:
to learn whether more are needed, the host would have to wait for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.sampling.declaration import ShapeStep, sampler
from app.decoding.sampling.measures import entropy_of
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.setting import number

_FIRST_CANDIDATES = 64
_CANDIDATE_GROWTH = 8

# Of candidates (R, C), foremost first: how many are to be kept (R,), from their log-probabilities
# and the row's limit. As many as there are means that more have to be looked at.
_Count = Callable[[Tensor, Tensor], Tensor]


def apply_top_k(logits: Tensor, top_k: Tensor) -> Tensor:
    """Keep the `top_k` likeliest tokens (Fan et al., 2018), for `top_k` of 1 or more."""
    kept = top_k.clamp_max(logits.shape[-1])
    most = int(kept.max()) if logits.is_cpu else logits.shape[-1]
    values = logits.topk(most, dim=-1).values
    threshold = values.gather(-1, (kept - 1).unsqueeze(-1))
    return logits.masked_fill(logits < threshold, -torch.inf)


@sampler("top_k", ShapeStep(apply_top_k), place=40, source="Fan et al., 2018")
@dataclass(frozen=True)
class TopK:
    """Keeps the k likeliest."""

    top_k: int = number(
        0, Range(0, 2**31 - 1, "0 turns it off"), "Draw among the k likeliest tokens.", off=-1
    )


def apply_top_p(logits: Tensor, top_p: Tensor) -> Tensor:
    """Keep the fewest likeliest tokens whose mass reaches `top_p` (Holtzman et al., 2020)."""
    log_probs = logits.log_softmax(dim=-1)
    return _keep(logits, log_probs, log_probs, top_p, _until_mass)


@sampler("top_p", ShapeStep(apply_top_p), place=60, source="Holtzman et al., 2020")
@dataclass(frozen=True)
class TopP:
    """Keeps the likeliest that together reach a mass."""

    top_p: float = number(
        1.0,
        Range(0, 1, "1 turns it off"),
        "Draw among the likeliest tokens that together reach probability top_p.",
    )


def apply_typical_p(logits: Tensor, typical_p: Tensor) -> Tensor:
    """Keep the tokens nearest to the expected information content (Meister et al., 2023).

    Tokens in order of |-ln p - H|, the fewest whose mass reaches `typical_p`.
    """
    log_probs = logits.log_softmax(dim=-1)
    closeness = -(log_probs + entropy_of(log_probs.exp()).unsqueeze(-1)).abs()
    return _keep(logits, closeness, log_probs, typical_p, _until_mass)


@sampler("typical_p", ShapeStep(apply_typical_p), place=50, source="Meister et al., 2023")
@dataclass(frozen=True)
class TypicalP:
    """Keeps the tokens whose surprisal is nearest to the entropy, up to a mass."""

    typical_p: float = number(
        1.0,
        Range(0, 1, "1 turns it off"),
        "Draw among the tokens whose surprisal is nearest to the entropy and that together reach "
        "probability typical_p.",
    )


def apply_top_h(logits: Tensor, top_h: Tensor) -> Tensor:
    """Keep the likeliest tokens while their share of the entropy allows it (Potraghloo et al., 2025,
    arXiv 2509.02510), as transformers has it: while the running sum of -p ln p is at most top_h * H.

    transformers looks at the 100 likeliest tokens only; this at all of them.
    """
    log_probs = logits.log_softmax(dim=-1)
    return _keep(logits, log_probs, log_probs, top_h * entropy_of(log_probs.exp()), _while_entropy)


@sampler("top_h", ShapeStep(apply_top_h), place=100, source="arXiv 2509.02510")
@dataclass(frozen=True)
class TopH:
    """Keeps the likeliest up to a share of the entropy."""

    top_h: float = number(
        1.0,
        Range(0, 1, "1 turns it off"),
        "Draw among the likeliest tokens that together hold at most this share of the entropy.",
    )


def apply_tfs(logits: Tensor, tfs: Tensor) -> Tensor:
    """Tail-free sampling (Phatak and others, 2019), as text-generation-webui has it: cut where the sorted
    probabilities stop bending.

    Of the absolute second differences of the sorted probabilities, divided by their sum: keep the tokens
    up to where the running sum exceeds `tfs`, and one more. With fewer than three tokens nothing bends.
    """
    if logits.shape[-1] < 3:
        return logits
    log_probs = logits.log_softmax(dim=-1)
    vocab_size = logits.shape[-1]

    def until_flat(ranked: Tensor, limit: Tensor) -> Tensor:
        probs = ranked.double().exp()
        bends = probs.diff(dim=-1).diff(dim=-1).abs()
        running = bends.cumsum(dim=-1)
        # Past the candidates probabilities fall from the last but one to 0, so they bend by at most twice it.
        beyond = 2 * probs[:, -2:-1] if ranked.shape[-1] < vocab_size else 0.0
        total = running[:, -1:]
        limit = limit.unsqueeze(-1)
        fewest = (running <= limit * total).sum(dim=-1)
        most = (running <= limit * (total + beyond)).sum(dim=-1)
        every = torch.full_like(fewest, ranked.shape[-1])
        return torch.where((fewest == most) & (most < bends.shape[-1]), fewest + 1, every)

    return _keep(logits, log_probs, log_probs, tfs.double(), until_flat)


@sampler("tfs", ShapeStep(apply_tfs), place=130, source="text-generation-webui")
@dataclass(frozen=True)
class Tfs:
    """Keeps the likeliest up to where the sorted probabilities stop bending."""

    tfs: float = number(
        1.0,
        Range(0, 1, "1 turns it off"),
        "Tail-free sampling: cut where the sorted probabilities stop bending.",
    )


def _until_mass(ranked: Tensor, limit: Tensor) -> Tensor:
    reached = ranked.exp().cumsum(dim=-1, dtype=torch.float64)
    # The one that reaches it is kept. Of a whole vocabulary rounding may leave the mass a little short
    # of 1: keep everything.
    return (reached < limit.unsqueeze(-1)).sum(dim=-1) + 1


def _while_entropy(ranked: Tensor, limit: Tensor) -> Tensor:
    probs = ranked.exp()
    used = torch.special.entr(probs).cumsum(dim=-1, dtype=torch.float64)
    return ((used <= limit.unsqueeze(-1)) & (probs > 0)).sum(dim=-1)


def _keep(logits: Tensor, order: Tensor, log_probs: Tensor, limit: Tensor, count: _Count) -> Tensor:
    """Logits of as many of the foremost tokens by `order` (R, V), highest first, as `count` says."""
    candidates = _FIRST_CANDIDATES if logits.is_cpu else logits.shape[-1]
    threshold = _threshold(order, log_probs, limit, count, candidates)
    return logits.masked_fill(order < threshold.unsqueeze(-1), -torch.inf)


def _threshold(order: Tensor, log_probs: Tensor, limit: Tensor, count: _Count, candidates: int) -> Tensor:
    """The `order` value (R,) of the last token that is kept."""
    candidates = min(candidates, order.shape[-1])
    values, ids = order.topk(candidates, dim=-1)
    kept = count(log_probs.gather(-1, ids), limit)
    threshold = values.gather(-1, (kept - 1).clamp(0, candidates - 1).unsqueeze(-1)).squeeze(-1)
    short = kept >= candidates
    if candidates < order.shape[-1] and bool(short.any()):
        more = candidates * _CANDIDATE_GROWTH
        threshold[short] = _threshold(order[short], log_probs[short], limit[short], count, more)
    return threshold
