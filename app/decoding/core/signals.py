"""Signals: what the model's next-token distribution says about its own certainty.

Each is a pure function of the raw float32 logits (B, V) over the whole vocabulary, before any
sampling transform, and returns (B,) float32. Logits of -inf are tokens of probability zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from models.language_model import MEASURES

PROBE_PREFIX = "probe:"
"""Begins the name of a probe among the signals."""

# exp(x) is 0 in float32 below about -104, so cutting log-probabilities here changes no sum,
# and keeps 0 * -inf (not a number) from ever being formed.
_LOG_ZERO = -200.0

CONFIDENCE_TOP_K = 20

ROUNDING = 1e-4
"""Signals of equal texts differ by less, in their own units, by what else is in the batch."""


class Distribution:
    """Raw logits (B, V) with what several signals share, each computed once, when asked for.

    chosen: (B,) ids of the chosen tokens, once there are any. measures: (B, 5) `MEASURES` of the logits, if
    the forward pass found them out.
    """

    def __init__(self, logits: Tensor, chosen: Tensor | None = None, measures: Tensor | None = None) -> None:
        self.logits = logits
        self.chosen = chosen
        self.measures: Mapping[str, Tensor] = (
            {} if measures is None else dict(zip(MEASURES, measures.unbind(-1), strict=True))
        )

    @cached_property
    def log_probs(self) -> Tensor:
        """(B, V) log-probabilities in nats; -inf where the probability is zero."""
        return torch.log_softmax(self.logits, dim=-1)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """(B,) Shannon entropy in nats, and (B,) variance of the information content."""
        log_probs = self.log_probs
        if log_probs.numel() <= BLOCK or log_probs.device.type != "cpu":
            return _moments(log_probs)
        blocks = log_probs.split(max(1, BLOCK // log_probs.shape[-1]))
        entropies, variances = zip(*map(_moments, blocks), strict=True)
        return torch.cat(entropies), torch.cat(variances)

    @cached_property
    def chosen_log_probs(self) -> Tensor:
        """(B,) log-probabilities of the chosen tokens."""
        assert self.chosen is not None, "asked for before a token was chosen"
        if (normaliser := self.measures.get("normaliser")) is not None:
            return self.logits.gather(-1, self.chosen.unsqueeze(-1)).squeeze(-1) - normaliser
        return self.log_probs.gather(-1, self.chosen.unsqueeze(-1)).squeeze(-1)

    @cached_property
    def likeliest(self) -> Tensor:
        """(B, min(20, V)) log-probabilities of the likeliest tokens, likeliest first."""
        return largest(self.log_probs, CONFIDENCE_TOP_K)


BLOCK = 1 << 18
"""Numbers that a CPU works on at a time: what comes of them in between stays in its cache, and in memory that
is used again, instead of being fetched and given back for every sum."""

GROUP = 64
"""Of so many numbers the largest is looked at first."""


def _moments(log_probs: Tensor) -> tuple[Tensor, Tensor]:
    log_probs = log_probs.clamp_min(_LOG_ZERO)
    probs = log_probs.exp()
    # 0 - x rather than -x: certainty is 0.0, not -0.0.
    entropies = (0.0 - torch.linalg.vecdot(probs, log_probs)).clamp_min_(0.0)
    deviations = log_probs.add_(entropies.unsqueeze(-1))
    return entropies, torch.linalg.vecdot(probs, deviations.square_())


def largest(numbers: Tensor, count: int) -> Tensor:
    """(B, min(count, V)) largest of (B, V) numbers in falling order.

    As none of them lies in a group of which `count` others have a larger number, few groups are sorted.
    """
    size = numbers.shape[-1]
    count = min(count, size)
    whole = size - size % GROUP
    if whole < 2 * count * GROUP:
        return numbers.topk(count, dim=-1).values
    groups = numbers[:, :whole].unflatten(-1, (-1, GROUP))
    best = groups.amax(dim=-1).topk(count, dim=-1, sorted=False).indices
    candidates = groups.gather(1, best.unsqueeze(-1).expand(-1, -1, GROUP)).flatten(1)
    return torch.cat((candidates, numbers[:, whole:]), dim=-1).topk(count, dim=-1).values


def entropy(distribution: Distribution) -> Tensor:
    """Shannon entropy H = -sum p ln p, in nats, 0 to ln V."""
    return distribution.moments[0]


def varentropy(distribution: Distribution) -> Tensor:
    """Variance of the information content, sum p (ln p + H)^2, in nats squared."""
    return distribution.moments[1]


def surprisal(distribution: Distribution) -> Tensor:
    """Information content -ln p of the token that was chosen, in nats."""
    return 0.0 - distribution.chosen_log_probs


def max_probability(distribution: Distribution) -> Tensor:
    """Probability of the likeliest token."""
    return distribution.likeliest[:, 0].exp()


def margin(distribution: Distribution) -> Tensor:
    """Difference of the two highest probabilities (Scheffer et al., 2001)."""
    best = distribution.likeliest[:, :2].exp()
    return best[:, 0] - best[:, 1] if best.shape[-1] == 2 else best[:, 0]


def confidence(distribution: Distribution) -> Tensor:
    """Mean of -ln p over the 20 likeliest tokens, in nats: the more of the probability a few tokens have, the
    higher (Fu et al., "Deep Think with Confidence", arXiv 2508.15260). Probability 0 counts as e^-200."""
    return 0.0 - distribution.likeliest.clamp_min(_LOG_ZERO).mean(dim=-1)


@dataclass(frozen=True)
class Signal:
    """A catalogue entry. `needs_chosen`: has no value before a token is chosen."""

    name: str
    unit: str
    higher_means: Literal["uncertain", "certain"]
    description: str
    compute: Callable[[Distribution], Tensor]
    needs_chosen: bool = False


SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        signal.name: signal
        for signal in (
            Signal(
                "entropy",
                "nats",
                "uncertain",
                "Shannon entropy of the next-token distribution, 0 to ln(vocabulary size).",
                entropy,
            ),
            Signal(
                "varentropy",
                "nats^2",
                "uncertain",
                "Variance of the information content: how unequal the open alternatives are.",
                varentropy,
            ),
            Signal(
                "surprisal",
                "nats",
                "uncertain",
                "Information content -ln p of the token that was chosen.",
                surprisal,
                needs_chosen=True,
            ),
            Signal(
                "max_probability",
                "probability",
                "certain",
                "Probability of the likeliest token.",
                max_probability,
            ),
            Signal(
                "margin",
                "probability",
                "certain",
                "Probability of the likeliest token less that of the second likeliest.",
                margin,
            ),
            Signal(
                "confidence",
                "nats",
                "certain",
                "Mean of -ln p over the 20 likeliest tokens: how far they are apart, as in DeepConf.",
                confidence,
            ),
        )
    }
)


def read_signal(name: str, distribution: Distribution) -> Tensor:
    """(B,) one of `SIGNALS`: as the forward pass found it out, or computed now."""
    measured = distribution.measures.get(name)
    return SIGNALS[name].compute(distribution) if measured is None else measured
