"""The fields that /v1/completions and /v1/chat/completions have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.api.schemas.foreign import Foreign
from app.api.schemas.own_fields import keep_own, keep_own_options
from app.decoding.sampling.fields import SamplingFields
from app.decoding.strategies import RequestStrategy
from app.invalid import Listed, refusal

REQUEST_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

MAX_STOPS = 16
MAX_STOP_TOKEN_IDS = 64
MAX_TOP_LOGPROBS = 20

ModelName = Annotated[
    str | None,
    Field(description="Name of a served model, as GET /v1/models lists them. Default: the first of them."),
]
StopString = Annotated[str, Field(min_length=1, max_length=256)]
SignalNames = Annotated[
    Listed[Annotated[str, Field(max_length=128)]],
    Field(
        max_length=64,
        description="Names of signals to return for every token, as GET /v1/signals lists them: "
        '["entropy", "probe:step_error"]. A probe has a value only at the tokens where it is read, and '
        "none in a given text: /v1/score and an echoed prompt refuse it.",
    ),
]

Timeout = Annotated[
    float | None,
    Field(
        gt=0,
        description="Seconds that the request may take, waiting included, more than 0; then it ends with "
        "status 504, or a stream with an error. Default, and the most: the server's request_timeout_seconds.",
    ),
]


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    model_config = REQUEST_CONFIG

    _no_foreign = model_validator(mode="before")(keep_own_options)

    include_usage: bool = Field(
        default=False,
        description="Send one more chunk at the end, with no choices and the usage of the whole request.",
    )
    live: bool = Field(
        default=False,
        description="Send tentative tokens too, and what becomes of them: chunks with no choices and a list "
        "`live` of tokens, rollbacks, forks, drops and events, in the order in which they happened.",
    )


class GenerationFields(SamplingFields):
    """What is the same for every request that generates text."""

    model_config = REQUEST_CONFIG

    foreign: ClassVar[Mapping[str, Foreign]] = {}

    model: ModelName = None
    seed: int | None = Field(
        default=None,
        ge=-(2**63),
        le=2**63 - 1,
        description="The same seed, prompt and parameters give the same text, whatever else the server is "
        "doing. A 64-bit integer. Default: drawn at random; the answer's `seed` says which.",
    )
    n: int = Field(default=1, ge=1, le=4096, description="Completions per prompt, 1 or more.")
    stop: StopString | Annotated[Listed[StopString], Field(max_length=MAX_STOPS)] = Field(
        default_factory=list,
        description=f"A string or up to {MAX_STOPS} strings, none empty, that end the text and are not part "
        "of it.",
    )
    stop_token_ids: Listed[Annotated[int, Field(ge=0)]] = Field(
        default_factory=list[int],
        max_length=MAX_STOP_TOKEN_IDS,
        description=f"Up to {MAX_STOP_TOKEN_IDS} token ids that end the text as the end token does.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="Most tokens of a completion, 0 or more. What does not fit the model's context after the "
        "prompt is left away, and the answer's `warnings` say so. Default: what the context still holds, up "
        "to the server's default_max_tokens; unlike OpenAI's 16, which would cut every solution short.",
    )
    timeout: Timeout = None
    ignore_eos: bool = Field(default=False, description="Go on past the model's end token.")
    stream: bool = Field(
        default=False, description="Send the text as server-sent events while it is written."
    )
    stream_options: StreamOptions | None = Field(default=None, description="Only together with stream.")
    user: str | None = Field(
        default=None, max_length=512, description="Accepted for compatibility; has no effect."
    )
    cache_salt: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="What the prompt shares with an earlier one is taken from the cache if that came with "
        "the same API key and the same salt, so who does not know it cannot tell from times what was asked. "
        "Default: the salt that all requests have which bring none.",
    )
    strategy: RequestStrategy | None = Field(
        default=None,
        description='How the text is decoded: {"kind": ...} with the parameters that GET /v1/strategies '
        "lists. Default: sample; greedy if temperature is 0.",
    )
    signals: SignalNames = Field(default_factory=list[str])
    skip_special_tokens: bool = Field(
        default=True,
        description="Leave special tokens that the model writes out of the text; with false it has their "
        "names, but never that of the token which ends it.",
    )
    use_generation_config: bool = Field(
        default=False,
        description="For temperature, top_k, top_p, min_p and repetition_penalty that are left out, take "
        "what the model's generation_config.json recommends; the answer's `sampling` says what was used.",
    )

    @model_validator(mode="before")
    @classmethod
    def _own_fields_only(cls, data: Any) -> Any:
        return keep_own(data, cls.model_fields, cls.foreign)

    @field_validator("stop", mode="before")
    @classmethod
    def _few_stops(cls, stop: Any) -> Any:
        if isinstance(stop, list) and len(stop) > MAX_STOPS:
            raise refusal(
                "stop", f"stop has {len(stop)} strings; at most {MAX_STOPS} are allowed", "out_of_range"
            )
        return stop

    @model_validator(mode="after")
    def _stream_options_need_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise refusal(
                "stream_options", "stream_options has no meaning without stream: true", "conflicting_fields"
            )
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """`stop` as a tuple, whichever way it was given."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def live(self) -> bool:
        """Whether a stream tells what happens to text that is not final."""
        return self.stream_options is not None and self.stream_options.live
