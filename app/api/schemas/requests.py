"""The bodies of requests."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from app.api.schemas.foreign import CHAT_FOREIGN, COMPLETION_FOREIGN, Foreign, keep_own
from app.api.schemas.generation import (
    MAX_TOP_LOGPROBS,
    REQUEST_CONFIG,
    GenerationFields,
    ModelName,
    SignalNames,
    Timeout,
)
from app.invalid import refusal

Prompts = Annotated[
    str | list[str] | list[int] | list[list[int]],
    Field(
        description="A string, a list of strings, a list of token ids (0 or more), or a list of such lists. "
        "A problem for the embedded model ends with its question."
    ),
]


class CompletionRequest(GenerationFields):
    """Body of POST /v1/completions."""

    foreign: ClassVar[Mapping[str, Foreign]] = COMPLETION_FOREIGN

    prompt: Prompts
    echo: bool = Field(
        default=False, description="Put the prompt in front of the completion, with its logprobs if asked."
    )
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description="Return the log-probability of every token and of this many likeliest alternatives, "
        f"0 to {MAX_TOP_LOGPROBS}.",
    )


class TextPart(BaseModel):
    """A part of a message."""

    model_config = REQUEST_CONFIG

    type: Literal["text"]
    text: str


class UserMessage(BaseModel):
    """A message with a problem."""

    model_config = REQUEST_CONFIG

    role: Literal["user"]
    content: str | list[TextPart] = Field(description="The problem: a string or a list of text parts.")

    @property
    def text(self) -> str:
        """The content as one string."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ChatRequest(GenerationFields):
    """Body of POST /v1/chat/completions."""

    foreign: ClassVar[Mapping[str, Foreign]] = CHAT_FOREIGN

    messages: list[UserMessage] = Field(
        description="One message with role user that holds one problem. The model was trained on single "
        "problems with their solutions, so instructions and earlier turns are refused, not silently dropped."
    )
    max_completion_tokens: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="The newer name of max_tokens; give one of them."
    )
    logprobs: bool = Field(default=False, description="Return the log-probability of every token.")
    top_logprobs: int = Field(
        default=0,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description=f"And of this many likeliest alternatives, 0 to {MAX_TOP_LOGPROBS}; needs logprobs.",
    )

    @field_validator("messages", mode="before")
    @classmethod
    def _one_problem(cls, messages: Any) -> Any:
        if not isinstance(messages, list):
            return messages
        for index, message in enumerate(messages):
            role = message.get("role") if isinstance(message, dict) else None
            if isinstance(role, str) and role != "user":
                raise refusal(
                    f"messages[{index}].role",
                    f"messages[{index}].role is {role!r}; the model reads one problem and follows no "
                    "instructions and no earlier turns. Send one message with role 'user'",
                )
        if len(messages) != 1:
            raise refusal(
                "messages",
                f"messages has {len(messages)} messages; the model reads one problem. "
                "Send exactly one message with role 'user'",
            )
        return messages

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise refusal(
                "max_tokens", "max_tokens and max_completion_tokens are two names of the same limit; give one"
            )
        if self.top_logprobs and not self.logprobs:
            raise refusal("top_logprobs", f"top_logprobs is {self.top_logprobs}; it needs logprobs: true")
        return self


class ScoreRequest(BaseModel):
    """Body of POST /v1/score."""

    model_config = REQUEST_CONFIG

    model: ModelName = None
    input: Prompts
    signals: SignalNames = Field(default_factory=list[str])
    top_logprobs: int = Field(
        default=0,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description=f"Likeliest alternatives to return for every token, 0 to {MAX_TOP_LOGPROBS}.",
    )
    timeout: Timeout = None

    @model_validator(mode="before")
    @classmethod
    def _own_fields_only(cls, data: Any) -> Any:
        return keep_own(data, cls.model_fields, {"prompt": Foreign("on /v1/score use input")})
