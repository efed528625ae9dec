"""The bodies of requests."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from app.api.schemas.foreign import (
    CHAT_FOREIGN,
    COMPLETION_FOREIGN,
    MESSAGE_FOREIGN,
    SCORE_FOREIGN,
    Foreign,
)
from app.api.schemas.generation import (
    MAX_TOP_LOGPROBS,
    REQUEST_CONFIG,
    GenerationFields,
    ModelName,
    SignalNames,
    Timeout,
)
from app.api.schemas.own_fields import keep_own
from app.api.schemas.prompts import Prompts
from app.invalid import Listed, refusal
from models.chat_template import Message, PromptEnd

MAX_MESSAGES = 1024

SpecialTokens = Annotated[
    bool,
    Field(
        description="Put the special tokens around a text that the model's tokenizer puts there, such as the "
        "one that begins it; they count as tokens of the prompt. Token ids are taken as they are."
    ),
]


ParseSpecial = Annotated[
    bool,
    Field(
        description="Take the name of a special token in a text, such as <|im_end|>, for the token; with "
        "false, for the letters that it is written with."
    ),
]


class CompletionRequest(GenerationFields):
    """Body of POST /v1/completions."""

    foreign: ClassVar[Mapping[str, Foreign]] = COMPLETION_FOREIGN

    prompt: Prompts
    add_special_tokens: SpecialTokens = True
    parse_special: ParseSpecial = True
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


class ChatMessage(BaseModel):
    """A turn of a chat."""

    model_config = REQUEST_CONFIG

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="Who speaks. A developer is a system to a chat template that does not know developers."
    )
    content: str | Listed[TextPart] = Field(description="What is said: a string or a list of text parts.")
    name: str | None = Field(
        default=None, max_length=64, description="Of who speaks; most chat templates do not show it."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_tools(cls, data: Any) -> Any:
        role = data.get("role") if isinstance(data, dict) else None
        if role in ("tool", "function"):
            raise refusal(
                "role",
                f"role is {role!r}; the model calls no tools, so there is no answer of one. Roles are "
                "system, developer, user and assistant",
                "unsupported_field",
            )
        kept = keep_own(data, cls.model_fields, MESSAGE_FOREIGN)
        if isinstance(data, dict):  # null is no default for what has none
            kept |= {name: None for name in ("role", "content") if name in data and data[name] is None}
        return kept

    @property
    def as_turn(self) -> Message:
        """The message as a chat template is given it."""
        parts = (self.content,) if isinstance(self.content, str) else tuple(p.text for p in self.content)
        return Message(self.role, parts, self.name)


class ChatRequest(GenerationFields):
    """Body of POST /v1/chat/completions."""

    foreign: ClassVar[Mapping[str, Foreign]] = CHAT_FOREIGN

    messages: Listed[ChatMessage] = Field(
        min_length=1,
        max_length=MAX_MESSAGES,
        description="The turns of the chat, which the model's chat template makes a prompt of. The embedded "
        "model reads one problem, the last message with role user; `warnings` name the messages that it "
        "leaves out.",
    )
    add_special_tokens: bool = Field(
        default=False,
        description="Put special tokens around what the chat template renders; templates write their own.",
    )
    add_generation_prompt: bool = Field(
        default=True,
        description="End the prompt where the assistant's next turn begins; with false, with the end of the "
        "last message's turn.",
    )
    continue_final_message: bool = Field(
        default=False,
        description="End the prompt with the last message itself, which the model goes on writing, as with "
        "an assistant's message that was begun for it. The answer has what it adds.",
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise refusal(
                "max_tokens",
                "max_tokens and max_completion_tokens are two names of the same limit; give one",
                "conflicting_fields",
            )
        begins = self.add_generation_prompt and "add_generation_prompt" in self.model_fields_set
        if begins and self.continue_final_message:
            raise refusal(
                "continue_final_message",
                "continue_final_message and add_generation_prompt are both true; a prompt ends with the last "
                "message or begins a new one. Leave one of them out",
                "conflicting_fields",
            )
        if self.top_logprobs and not self.logprobs:
            raise refusal(
                "top_logprobs",
                f"top_logprobs is {self.top_logprobs}; it needs logprobs: true",
                "conflicting_fields",
            )
        return self

    @property
    def prompt_end(self) -> PromptEnd:
        """Where the prompt ends."""
        if self.continue_final_message:
            return "open_turn"
        return "new_turn" if self.add_generation_prompt else "last_turn"


class ScoreRequest(BaseModel):
    """Body of POST /v1/score."""

    model_config = REQUEST_CONFIG

    model: ModelName = None
    input: Prompts
    add_special_tokens: SpecialTokens = True
    parse_special: ParseSpecial = True
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
        return keep_own(data, cls.model_fields, SCORE_FOREIGN)
