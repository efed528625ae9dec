"""From the engine's tokens to OpenAI's log-probabilities and to our signals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypedDict

from app.api.offsets import Offsets
from app.api.schemas.responses import (
    AlternativeOut,
    ChatLogprobs,
    ChatTokenLogprob,
    CompletionLogprobs,
    CompletionTokensDetails,
    EventOut,
    PromptTokensDetails,
    SamplingOut,
    TokenSignals,
    UsageOut,
)
from app.decoding.core.types import Alternative, Event, Token
from app.decoding.sampling.params import SamplingParams
from app.engine.types import ChoiceDone, Usage

_LOWEST_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot hold; OpenAI's number for it."""

_DIGITS = 7
"""Significant digits of a float32; more would be noise of its conversion."""


@dataclass(frozen=True)
class Scored:
    """A token id, and what the model thought of it: None for the first token of a text.

    ends: it ended the text, and is no part of it.
    """

    id: int
    token: Token | None
    ends: bool = False


def scored(tokens: Sequence[Token], *, ended: bool = False) -> list[Scored]:
    """Generated tokens, all of which the model had an opinion of. ended: the last of them ended the text."""
    last = len(tokens) - 1 if ended else None
    return [Scored(token.id, token, ends=index == last) for index, token in enumerate(tokens)]


def weight_of(tokens: Sequence[Token]) -> int:
    """How many numbers and texts the rows of these tokens hold, about: those of a request are alike."""
    return len(tokens) * (3 + 3 * len(tokens[0].top) + len(tokens[0].signals)) if tokens else 0


def scored_prompt(prompt_ids: Sequence[int], tokens: Sequence[Token]) -> list[Scored]:
    """A prompt whose tokens from the second on were scored."""
    return [Scored(prompt_ids[0], None), *scored(tokens)]


class TokenTexts:
    """How single tokens are written in an answer.

    vocabulary: the bytes of every id, from which the engine makes its texts too. Tokens without text, such as
    the end token, are written as nothing, and so is one that ended the text, wherever it is shown.
    """

    def __init__(self, vocabulary: Sequence[bytes]) -> None:
        self._vocabulary = vocabulary

    def bytes(self, token_id: int, *, ends: bool = False) -> bytes:
        """The token's bytes."""
        return b"" if ends else self._vocabulary[token_id]

    def text(self, token_id: int, *, ends: bool = False) -> str:
        """The token's text; `bytes:\\xc3` for a token that is no text by itself, as OpenAI writes it."""
        content = self.bytes(token_id, ends=ends)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)

    def top(self, token: Token, *, ends: bool = False) -> list[AlternativeOut]:
        """The likeliest alternatives to a token, itself among them maybe."""
        listed = [(other, ends and other.token_id == token.id) for other in token.top]
        return [
            AlternativeOut(
                token=self.text(other.token_id, ends=ended),
                logprob=logprob(other.logprob),
                bytes=list(self.bytes(other.token_id, ends=ended)),
            )
            for other, ended in listed
        ]

    def signals(self, tokens: Sequence[Scored]) -> list[TokenSignals]:
        """The signals of every token, under their own names."""
        return [
            TokenSignals.model_validate(
                {"token": self.text(item.id, ends=item.ends), "token_id": item.id}
                | ({"forced": True} if item.token and item.token.forced else {})
                | (signals_out(item.token) if item.token else {})
            )
            for item in tokens
        ]

    def chat_logprobs(self, tokens: Sequence[Scored]) -> ChatLogprobs:
        """Log-probabilities in the shape of chat completions."""
        return ChatLogprobs(
            content=[
                ChatTokenLogprob(
                    token=self.text(item.id, ends=item.ends),
                    logprob=logprob(item.token.logprob),
                    bytes=list(self.bytes(item.id, ends=item.ends)),
                    top_logprobs=self.top(item.token, ends=item.ends),
                    forced=item.token.forced or None,
                )
                for item in tokens
                if item.token is not None
            ]
        )

    def places(self, tokens: Sequence[Scored], offsets: Offsets) -> list[int]:
        """Where in the text each of the next tokens begins; the one that ended it, where it ends."""
        return [offsets.end if item.ends else offsets.advance(self.bytes(item.id)) for item in tokens]

    def completion_logprobs(self, tokens: Sequence[Scored], places: list[int]) -> CompletionLogprobs:
        """Log-probabilities in the shape of completions; the written token is among its alternatives."""
        forced = [item.token is not None and item.token.forced for item in tokens]
        return CompletionLogprobs(
            tokens=[self.text(item.id, ends=item.ends) for item in tokens],
            token_logprobs=[logprob(item.token.logprob) if item.token else None for item in tokens],
            top_logprobs=[self._with_chosen(item) for item in tokens],
            text_offset=places,
            forced=forced if any(forced) else None,
        )

    def _with_chosen(self, item: Scored) -> dict[str, float] | None:
        """By text. Of several without a text there is one: the written token, or else the likeliest."""
        if item.token is None:
            return None
        listed = [*item.token.top]
        if all(other.token_id != item.id for other in listed):
            listed.append(Alternative(item.id, item.token.logprob))
        written = self.text(item.id, ends=item.ends)
        shown: dict[str, float] = {}
        for other in listed:
            name = written if other.token_id == item.id else self.text(other.token_id)
            shown.setdefault(name, logprob(other.logprob))
        shown[written] = logprob(item.token.logprob)
        return shown


def number(value: float) -> float:
    """A number that was computed in float32, with the digits that it has."""
    return float(f"{value:.{_DIGITS}g}")


def logprob(value: float) -> float:
    """A log-probability, or the number that stands for a probability of zero."""
    return number(max(value, _LOWEST_LOGPROB))


def signals_out(token: Token) -> dict[str, float | None]:
    """The token's signals by name; None for what is no finite number, such as the surprisal of a token of
    probability 0."""
    return {name: number(value) if isfinite(value) else None for name, value in token.signals.items()}


def events_out(events: Sequence[Event]) -> list[EventOut]:
    """The decision trace."""
    return [EventOut(position=event.position, rule=event.rule, detail=dict(event.detail)) for event in events]


class Ending(TypedDict):
    """How a choice ended, in OpenAI's words."""

    finish_reason: Literal["stop", "length"]
    stop_reason: str | int | None


def ending_out(done: ChoiceDone) -> Ending:
    """An abstention is a stop, and says so in its `stop_reason`; why is in the trace."""
    if done.finish_reason == "abstain":
        return Ending(finish_reason="stop", stop_reason="abstain")
    return Ending(finish_reason=done.finish_reason, stop_reason=done.stop_reason)


def sampling_out(sampling: SamplingParams) -> SamplingOut:
    """What the sampling chain does."""
    return SamplingOut.model_validate(sampling.effective())


def usage_out(usage: Usage) -> UsageOut:
    """What a request cost. Discarded tokens are told apart, so that the total is OpenAI's."""
    return UsageOut(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
        completion_tokens_details=CompletionTokensDetails(discarded_tokens=usage.discarded_tokens),
    )
