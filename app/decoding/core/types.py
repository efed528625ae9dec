"""The vocabulary of decoding: what is asked for, and what comes back for every token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.decoding.sampling.history import SamplerState
from app.decoding.sampling.ranges import Range, require_range
from app.errors import ParameterError
from probes.rule import Trace

FinishReason = Literal["stop", "length", "abstain"]


_MAX_TOKENS = Range(0, 2**31 - 1, "0 generates nothing")


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
        require_range("max_tokens", self.max_tokens, _MAX_TOKENS)
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

    logprob: natural logarithm of the raw probability (before any transform).
    signals: the signals that the request or its strategy asked for, by name; a probe has a value only
        where it is read.
    top: the likeliest alternatives by raw probability, likeliest first.
    forced: a strategy put the token there, and nothing was drawn; what the model thought of it is read all
        the same.
    adjusted: of a candidate, its log-probability after penalties and logit bias; None otherwise.
    trace: what probes at later tokens of the same step need of this one; None if they need nothing.
    state: what the sampler that drew it needs for the next one; None if it needs nothing.
    """

    id: int
    logprob: float
    signals: Mapping[str, float]
    top: tuple[Alternative, ...] = ()
    forced: bool = False
    adjusted: float | None = field(default=None, compare=False)
    trace: Trace | None = field(default=None, compare=False, repr=False)
    state: SamplerState | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the decision trace.

    position: index into the completion's tokens at which it happened.
    rule: what fired; detail: its numbers, such as the value, the threshold and what was discarded.
    """

    position: int
    rule: str
    detail: Mapping[str, float | int | str]
