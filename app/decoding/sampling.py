"""Sampling transforms, logits to logits, and the draw.

Pure functions over rows (R, V) with one parameter per row (R,); the input is never changed. A
removed token has logit -inf, and every transform works on the distribution that the ones before
it left, so on renormalised probabilities. Each keeps at least one token.

The order of the chain, everywhere:

    repetition penalty, frequency and presence penalties, logit bias,
    temperature, top_k, typical_p, top_p, min_p

Temperature comes before the cuts, as in transformers and vLLM (llama.cpp puts it last). Tokens of
equal probability are kept or removed together.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_FIRST_CANDIDATES = 64
_CANDIDATE_GROWTH = 8
_DIRECT_SUM = 4096
_BLOCK = 256
_ALMOST_ONE = 1 - 2**-53


def apply_temperature(logits: Tensor, temperature: Tensor) -> Tensor:
    """Softmax sharpness: (l - max l) / temperature, for temperatures above 0.

    The maximum is taken off first, so that even 1e-30 overflows to nothing worse than -inf.
    """
    return (logits - logits.amax(dim=-1, keepdim=True)) / temperature.unsqueeze(-1)


def apply_top_k(logits: Tensor, top_k: Tensor) -> Tensor:
    """Keep the `top_k` likeliest tokens (Fan et al., 2018), for `top_k` of 1 or more."""
    kept = top_k.clamp_max(logits.shape[-1])
    values = logits.topk(int(kept.max()), dim=-1).values
    threshold = values.gather(-1, (kept - 1).unsqueeze(-1))
    return logits.masked_fill(logits < threshold, -torch.inf)


def apply_top_p(logits: Tensor, top_p: Tensor) -> Tensor:
    """Keep the fewest likeliest tokens whose mass reaches `top_p` (Holtzman et al., 2020)."""
    log_probs = torch.log_softmax(logits, dim=-1)
    threshold = _mass_threshold(log_probs, log_probs, top_p)
    return logits.masked_fill(log_probs < threshold.unsqueeze(-1), -torch.inf)


def apply_typical_p(logits: Tensor, typical_p: Tensor) -> Tensor:
    """Keep the tokens nearest to the expected information content (Meister et al., 2023).

    Tokens in order of |-ln p - H|, the fewest whose mass reaches `typical_p`.
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    # 0 * -inf is not a number; a token of probability 0 adds nothing to the entropy.
    entropy = -(log_probs.exp() * log_probs).nan_to_num(nan=0.0).sum(dim=-1, keepdim=True)
    closeness = -(log_probs + entropy).abs()
    threshold = _mass_threshold(closeness, log_probs, typical_p)
    return logits.masked_fill(closeness < threshold.unsqueeze(-1), -torch.inf)


def apply_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Keep tokens of at least `min_p` times the highest probability (Nguyen et al., 2025)."""
    threshold = logits.amax(dim=-1, keepdim=True) + min_p.log().unsqueeze(-1)
    return logits.masked_fill(logits < threshold, -torch.inf)


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Token ids (R,): inverse CDF in the order of ids, one uniform number in [0, 1) per row.

    The token is the first whose cumulative probability exceeds the uniform, which no token of
    probability 0 can be. Sums are float64, so a vocabulary of any size loses no mass. A row that
    is not all numbers gives some id, for the caller to notice.
    """
    probs = torch.softmax(logits, dim=-1)
    rows, vocab_size = probs.shape
    if vocab_size <= _DIRECT_SUM:
        return _first_above(probs, uniforms)
    # Blocks first, then one block token by token: a running sum over a large vocabulary costs more
    # than all else here.
    blocks = F.pad(probs, (0, -vocab_size % _BLOCK)).view(rows, -1, _BLOCK)
    sums = blocks.sum(dim=-1, dtype=torch.float64)
    block = _first_above(sums, uniforms)
    ends = sums.cumsum(dim=-1)
    share = sums.gather(-1, block.unsqueeze(-1)).squeeze(-1)
    start = ends.gather(-1, block.unsqueeze(-1)).squeeze(-1) - share
    inside = ((uniforms * ends[:, -1] - start) / share).clamp_(0.0, _ALMOST_ONE)
    chosen = blocks[torch.arange(rows, device=probs.device), block]
    return (block * _BLOCK + _first_above(chosen, inside)).clamp_max_(vocab_size - 1)


def _first_above(mass: Tensor, uniforms: Tensor) -> Tensor:
    """The first index (R,) at which the running sum of masses (R, N) exceeds uniform * total."""
    cumulative = mass.cumsum(dim=-1, dtype=torch.float64)
    point = uniforms.unsqueeze(-1) * cumulative[:, -1:]
    # Only a total that is not a number is never exceeded.
    return torch.searchsorted(cumulative, point, right=True).squeeze(-1).clamp_max_(mass.shape[-1] - 1)


def _mass_threshold(
    order: Tensor, log_probs: Tensor, mass: Tensor, candidates: int = _FIRST_CANDIDATES
) -> Tensor:
    """The `order` value (R,) down to which tokens must be kept for their mass to reach `mass`.

    Looks at the foremost 64 tokens, then at 8 times as many for the rows that need more, and so
    on: real distributions are steep, and sorting a vocabulary costs more than the whole step.
    """
    candidates = min(candidates, order.shape[-1])
    values, ids = order.topk(candidates, dim=-1)
    reached = log_probs.gather(-1, ids).exp_().cumsum(dim=-1, dtype=torch.float64)
    count = (reached < mass.unsqueeze(-1)).sum(dim=-1)
    threshold = values.gather(-1, count.clamp(max=candidates - 1).unsqueeze(-1)).squeeze(-1)
    # Of a whole vocabulary rounding may leave the mass a little short of 1: keep everything.
    short = count == candidates
    if candidates < order.shape[-1] and bool(short.any()):
        more = candidates * _CANDIDATE_GROWTH
        threshold[short] = _mass_threshold(order[short], log_probs[short], mass[short], more)
    return threshold
