"""From the engine's tokens to OpenAI's log-probabilities and to our signals."""

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
from app.decoding.sampling_params import SamplingParams
from app.decoding.types import Alternative, Event, Token
from app.engine.types import Usage
from models.tokenizer import Tokenizer

_LOWEST_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot hold; OpenAI's number for it."""

_DIGITS = 7
"""Significant digits of a float32; more would be noise of its conversion."""


@dataclass(frozen=True)
class Scored:
    """A token id, and what the model thought of it: None for the first token of a text."""

    id: int
    token: Token | None


def scored(tokens: Iterable[Token]) -> list[Scored]:
    """Generated tokens, all of which the model had an opinion of."""
    return [Scored(token.id, token) for token in tokens]


def scored_prompt(prompt_ids: Sequence[int], tokens: Sequence[Token]) -> list[Scored]:
    """A prompt whose tokens from the second on were scored."""
    return [Scored(prompt_ids[0], None), *scored(tokens)]


class TokenTexts:
    """How single tokens are written in an answer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def bytes(self, token_id: int) -> bytes:
        """The token's bytes; none for an id that pads the model's vocabulary beyond the tokenizer's."""
        return self._tokenizer.token_bytes(token_id) if token_id < self._tokenizer.vocab_size else b""

    def text(self, token_id: int) -> str:
        """The token's text; `bytes:\\xc3` for a token that is no text by itself, as OpenAI writes it."""
        content = self.bytes(token_id)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)

    def top(self, token: Token) -> list[AlternativeOut]:
        """The likeliest alternatives to a token."""
        return [
            AlternativeOut(
                token=self.text(other.token_id),
                logprob=logprob(other.logprob),
                bytes=list(self.bytes(other.token_id)),
            )
            for other in token.top
        ]

    def signals(self, tokens: Sequence[Scored]) -> list[TokenSignals]:
        """The signals of every token, under their own names."""
        return [
            TokenSignals.model_validate(
                {"token": self.text(item.id), "token_id": item.id}
                | (signals_out(item.token) if item.token else {})
            )
            for item in tokens
        ]

    def chat_logprobs(self, tokens: Sequence[Token]) -> ChatLogprobs:
        """Log-probabilities in the shape of chat completions."""
        return ChatLogprobs(
            content=[
                ChatTokenLogprob(
                    token=self.text(token.id),
                    logprob=logprob(token.logprob),
                    bytes=list(self.bytes(token.id)),
                    top_logprobs=self.top(token),
                )
                for token in tokens
            ]
        )

    def completion_logprobs(self, tokens: Sequence[Scored], offsets: "Offsets") -> CompletionLogprobs:
        """Log-probabilities in the shape of completions; the written token is among its alternatives."""
        return CompletionLogprobs(
            tokens=[self.text(item.id) for item in tokens],
            token_logprobs=[logprob(item.token.logprob) if item.token else None for item in tokens],
            top_logprobs=[self._with_chosen(item.token) if item.token else None for item in tokens],
            text_offset=[offsets.advance(self.bytes(item.id)) for item in tokens],
        )

    def _with_chosen(self, token: Token) -> dict[str, float]:
        listed = [*token.top]
        if all(other.token_id != token.id for other in listed):
            listed.append(Alternative(token.id, token.logprob))
        return {self.text(other.token_id): logprob(other.logprob) for other in listed}


@dataclass
class Offsets:
    """Counts where in a text each next token begins, in characters."""

    _characters: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def advance(self, content: bytes) -> int:
        """Where a token of these bytes begins; the next one begins after it."""
        start = self._characters
        self._characters += len(self._decoder.decode(content))
        return start


def number(value: float) -> float:
    """A number that was computed in float32, with the digits that it has."""
    return float(f"{value:.{_DIGITS}g}")


def logprob(value: float) -> float:
    """A log-probability, or the number that stands for a probability of zero."""
    return number(max(value, _LOWEST_LOGPROB))


def signals_out(token: Token) -> dict[str, float]:
    """The token's signals by name."""
    return {name: number(value) for name, value in token.signals.items()}


def events_out(events: Sequence[Event]) -> list[EventOut]:
    """The decision trace."""
    return [EventOut(position=event.position, rule=event.rule, detail=dict(event.detail)) for event in events]


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
