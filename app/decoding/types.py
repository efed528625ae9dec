"""The vocabulary of decoding: what is asked for, and what comes back for every token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from app.errors import ParameterError
from probes.rule import Trace

FinishReason = Literal["stop", "length", "abstain"]


def require_range(name: str, value: float, low: float, high: float, meaning: str) -> None:
    """Raise `ParameterError` unless low <= value <= high; NaN is outside every range."""
    if not low <= value <= high:
        raise ParameterError(
            f"{name} is {value}; it must be between {low} and {high} ({meaning}).", param=name
        )


@dataclass(frozen=True)
class SamplingParams:
    """The sampling chain of one row. The defaults draw from the model's own distribution.

    The order of the chain is documented in `app.decoding.sampling`.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])

    def __post_init__(self) -> None:
        require_range("temperature", self.temperature, 0, 100, "0 takes the likeliest token")
        require_range("top_k", self.top_k, 0, 2**31 - 1, "0 turns it off")
        require_range("top_p", self.top_p, 0, 1, "1 turns it off")
        require_range("min_p", self.min_p, 0, 1, "0 turns it off")
        require_range("typical_p", self.typical_p, 0, 1, "1 turns it off")
        require_range("presence_penalty", self.presence_penalty, -2, 2, "0 turns it off")
        require_range("frequency_penalty", self.frequency_penalty, -2, 2, "0 turns it off")
        require_range("repetition_penalty", self.repetition_penalty, 0.01, 100, "1 turns it off")
        for token_id, bias in self.logit_bias.items():
            if token_id < 0 or not -100 <= bias <= 100:
                raise ParameterError(
                    f"logit_bias has {token_id}: {bias}; token ids are 0 or more and a bias is "
                    "between -100 and 100.",
                    param="logit_bias",
                )
        # The caller may go on changing its own dictionary.
        object.__setattr__(self, "logit_bias", MappingProxyType(dict(self.logit_bias)))


@dataclass(frozen=True)
class StoppingParams:
    """When a sequence ends.

    max_tokens: most tokens of the completion; 0 generates nothing (for scoring a prompt).
    stop: strings that end the text and are not part of it.
    stop_token_ids: tokens that end the text as the end token does.
    ignore_eos: go on past the model's end token.
    """

    max_tokens: int
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        require_range("max_tokens", self.max_tokens, 0, 2**31 - 1, "0 generates nothing")
        if "" in self.stop:
            raise ParameterError(
                "stop holds an empty string, which would end every text at once; remove it.",
                param="stop",
            )
        if any(token_id < 0 for token_id in self.stop_token_ids):
            raise ParameterError(
                f"stop_token_ids is {list(self.stop_token_ids)}; token ids are 0 or more.",
                param="stop_token_ids",
            )


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have been chosen, with its raw log-probability in nats."""

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a sequence and what the model thought when it was chosen.

    logprob: natural logarithm of the raw probability (before any transform). 0.0 when `forced`.
    signals: the signals that the request or its strategy asked for, by name; a probe has a value only
        where it is read.
    top: the likeliest alternatives by raw probability, likeliest first.
    forced: a strategy put the token there; nothing was drawn, so it has no signals.
    trace: what probes at later tokens of the same step need of this one; None if they need nothing.
    """

    id: int
    logprob: float
    signals: Mapping[str, float]
    top: tuple[Alternative, ...] = ()
    forced: bool = False
    trace: Trace | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the decision trace.

    position: index into the completion's tokens at which it happened.
    rule: what fired; detail: its numbers, such as the value, the threshold and what was discarded.
    """

    position: int
    rule: str
    detail: Mapping[str, float | int | str]
