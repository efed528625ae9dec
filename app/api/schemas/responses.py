"""The bodies of answers: OpenAI's shapes, and beside them our own fields `signals`, `events` and `seed`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.absent import is_none
from app.api.schemas.live import LiveField

FinishReasonOut = Literal["stop", "length"]


# Signals stand beside the other fields, each under its own name.
NAMED_NUMBERS = ConfigDict(
    extra="allow",
    json_schema_extra={"additionalProperties": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
)

ForcedField = Annotated[
    bool | None,
    Field(
        default=None, exclude_if=is_none, description="True where the strategy put the token there undrawn."
    ),
]


class TokenSignals(BaseModel):
    """One token and its signals, each under its own name; null where one is not finite. The token that ended
    the text comes last, and its `token` is empty."""

    model_config = NAMED_NUMBERS

    token: str
    token_id: int
    forced: ForcedField = None


class EventOut(BaseModel):
    """One entry of the decision trace."""

    position: int = Field(description="Index into the completion's tokens at which it happened.")
    rule: str
    detail: dict[str, float | int | str]


class SamplingOut(BaseModel):
    """The sampling chain that was asked for: the samplers that do anything, in order, and the parameters that
    they read. A strategy may depart from it."""

    model_config = ConfigDict(extra="allow")

    samplers: list[str]
    temperature: float


class PromptTokensDetails(BaseModel):
    """Of the prompt's tokens."""

    cached_tokens: int


class CompletionTokensDetails(BaseModel):
    """Beyond the completion's tokens."""

    reasoning_tokens: int = 0
    discarded_tokens: int = Field(
        description="Tokens that were generated and are in no returned completion, nor in completion_tokens."
    )


class UsageOut(BaseModel):
    """What a request cost."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class CompletionLogprobs(BaseModel):
    """Columns over the tokens of a completion, with the one that ended it, which has no text. `text_offset`
    counts characters from the start of `text`."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    forced: list[bool] | None = Field(
        default=None,
        exclude_if=is_none,
        description="Of each token, whether the strategy put it there undrawn; left out where none was.",
    )


class CompletionChoice(BaseModel):
    """One completion, or in a stream a piece of one."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReasonOut | None = None
    stop_reason: str | int | None = Field(
        default=None,
        description="The stop string, the stop token's id, or the strategy's reason; \"abstain\" where it "
        "gave no answer.",
    )
    signals: list[TokenSignals] | None = Field(default=None, exclude_if=is_none)
    events: list[EventOut] | None = Field(default=None, exclude_if=is_none)


Warnings = Annotated[
    list[str] | None,
    Field(
        exclude_if=is_none,
        description="What was done otherwise than asked. In a stream, with the first chunk.",
    ),
]


class Completion(BaseModel):
    """Answer of POST /v1/completions; chunks of a stream have the same shape."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    seed: int = Field(description="The seed that this text can be made again with.")
    sampling: SamplingOut | None = Field(
        default=None, exclude_if=is_none, description="In a stream, with the last chunk of each choice."
    )
    choices: list[CompletionChoice]
    usage: UsageOut | None = None
    live: LiveField = None
    warnings: Warnings = None


class AlternativeOut(BaseModel):
    """A token with its log-probability in nats and its UTF-8 bytes."""

    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(AlternativeOut):
    """The same of a token that was written, with the likeliest alternatives."""

    top_logprobs: list[AlternativeOut]
    forced: ForcedField = None


class ChatLogprobs(BaseModel):
    """Log-probabilities of a message's tokens, and of the one that ended it, which has no text."""

    content: list[ChatTokenLogprob]
    refusal: None = None


class AssistantMessage(BaseModel):
    """What the model wrote."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """One solution."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReasonOut
    stop_reason: str | int | None = None
    signals: list[TokenSignals] | None = Field(default=None, exclude_if=is_none)
    events: list[EventOut] = Field(default_factory=list[EventOut])


class ChatCompletion(BaseModel):
    """Answer of POST /v1/chat/completions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    seed: int
    sampling: SamplingOut
    choices: list[ChatChoice]
    usage: UsageOut
    warnings: Warnings = None


class Delta(BaseModel):
    """What a chunk adds to a message."""

    role: Literal["assistant"] | None = Field(default=None, exclude_if=is_none)
    content: str | None = Field(default=None, exclude_if=is_none)


class ChatChunkChoice(BaseModel):
    """A piece of one solution."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReasonOut | None = None
    stop_reason: str | int | None = None
    signals: list[TokenSignals] | None = Field(default=None, exclude_if=is_none)
    events: list[EventOut] | None = Field(default=None, exclude_if=is_none)


class ChatChunk(BaseModel):
    """One event of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    seed: int
    sampling: SamplingOut | None = Field(default=None, exclude_if=is_none)
    choices: list[ChatChunkChoice]
    usage: UsageOut | None = None
    live: LiveField = None
    warnings: Warnings = None


class ScoredToken(BaseModel):
    """A token of a given text, what the model thought of it, and its signals under their own names.

    Nothing predicts the first token, so its `logprob` is null and it has no signals.
    """

    model_config = NAMED_NUMBERS

    token: str
    token_id: int
    logprob: float | None
    top_logprobs: list[AlternativeOut] | None = Field(default=None, exclude_if=is_none)


class Score(BaseModel):
    """One text, teacher-forced."""

    object: Literal["score"] = "score"
    index: int
    logprob: float = Field(description="Sum over the tokens from the second on, in nats.")
    tokens: list[ScoredToken]


class ScoreUsage(BaseModel):
    """What scoring cost."""

    prompt_tokens: int
    total_tokens: int


class ScoreList(BaseModel):
    """Answer of POST /v1/score."""

    object: Literal["list"] = "list"
    model: str
    data: list[Score]
    usage: ScoreUsage
