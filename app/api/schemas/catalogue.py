"""The bodies of the catalogues: what is served and what can be asked of it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.absent import is_none
from probes.card import ProbeCard


class ModelOut(BaseModel):
    """A served model. What only its files tell is null until it is loaded for the first time."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When it was loaded, in seconds since 1970; 0 if it is not loaded.")
    owned_by: str = "demur"
    loaded: bool = Field(description="Whether it is in memory. A request that names it loads it first.")
    state: Literal["loaded", "loading", "failed", "not_loaded"] = Field(
        description="failed: it could not be loaded; a request that names it some seconds later tries again."
    )
    error: str | None = Field(description="Why it could not be loaded the last time; null if it could.")
    default: bool = Field(description="Whether it answers requests that name no model.")
    device: str = Field(description="Where it runs.")
    dtype: str = Field(
        description="What it computes in, or int8 where its weights are; auto is what they are stored in."
    )
    kernel: str | None = Field(description="What computes it: native, torch, torch.compile or llama.cpp.")
    quantisation: str | None = Field(
        description="Of a GGUF's weights, in llama.cpp's words, such as Q8_0; null for all other models."
    )
    context_length: int | None = Field(
        description="Most tokens of prompt and completion together; the server's max_context may lower it."
    )
    vocab_size: int | None
    parameters: int | None
    layers: int | None
    d_model: int | None
    end_token_id: int | None = Field(description="The first of end_token_ids; null if there is none.")
    end_token_ids: list[int] | None = Field(description="Tokens that end a text, each of them.")
    chat: bool | None = Field(description="Whether it has a chat template, so that it takes chats.")
    calibrated: bool | None = Field(
        description="Whether it has a calibration, which strategies take thresholds from."
    )
    probes: list[str] | None = Field(description="Names of its probes; GET /v1/probes has their cards.")
    identity: dict[str, Any] | None = Field(description="Hashes of the checkpoint's files.")
    card: dict[str, Any] | None = Field(description="How the checkpoint was made and what it reaches.")


class ModelList(BaseModel):
    """Answer of GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class StrategyOut(BaseModel):
    """A strategy."""

    kind: str
    summary: str
    params_schema: dict[str, Any] = Field(description="JSON Schema of the request's `strategy` object.")
    unavailable: str | None = Field(
        description="Why the served model refuses it with its default parameters: a probe or a calibration "
        "that is not there. Null where nothing is missing, or no model is loaded yet."
    )


class StrategyList(BaseModel):
    """Answer of GET /v1/strategies."""

    object: Literal["list"] = "list"
    data: list[StrategyOut]


class SignalOut(BaseModel):
    """A signal."""

    name: str
    unit: str
    higher_means: Literal["uncertain", "certain", "positive"] = Field(
        description="positive: that what the probe stands for is likelier."
    )
    description: str
    quantiles: list[float] | None = Field(
        description="The 0%, 1%, ... 100% quantile over the tokens of the model's calibration, in the "
        "signal's unit: what strategies take their thresholds from. Null where nothing was measured.",
    )


class SignalList(BaseModel):
    """Answer of GET /v1/signals."""

    object: Literal["list"] = "list"
    data: list[SignalOut]
    value_schema: dict[str, Any] = Field(description="JSON Schema of the request's `signals` array.")


class ProbeOut(BaseModel):
    """A probe."""

    name: str
    object: Literal["probe"] = "probe"
    signal: str = Field(description="Its name among the signals.")
    card: ProbeCard


class ProbeList(BaseModel):
    """Answer of GET /v1/probes."""

    object: Literal["list"] = "list"
    data: list[ProbeOut]


class Health(BaseModel):
    """Answer of the health routes."""

    status: Literal["ok", "loading", "draining", "failed"]
    detail: str | None = None


class ErrorOut(BaseModel):
    """What went wrong and how to put it right."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    """The body of every answer that is not a success.

    request_id: of an error in a stream alone; elsewhere the answer's header has it.
    """

    error: ErrorOut
    request_id: str | None = Field(
        default=None, exclude_if=is_none, description="Of an error that ends a stream: its x-request-id."
    )
