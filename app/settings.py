"""Settings of the service, from the environment (`DEMUR_PORT=8080`) or from the flags of `demur serve`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import DemurError
from app.model_source import ModelSource, named_folder
from models.hub.dtypes import Precision
from models.native.kernel import Kernel

_HOUSE = Path(__file__).resolve().parent.parent
EMBEDDED_CHECKPOINT = _HOUSE / "models" / "checkpoints" / "igsm"
EMBEDDED_PROBES = _HOUSE / "probes" / "trained"

_HOST_NAME = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")

LogLevel = Literal["critical", "error", "warning", "info", "debug"]
LogFormat = Literal["console", "json"]


class SettingsError(DemurError):
    """A setting has a value that is not allowed."""


class Settings(BaseSettings):
    """What an operator can set. Every field is read from `DEMUR_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="DEMUR_", extra="forbid", frozen=True)

    checkpoint: Path = Field(
        default=EMBEDDED_CHECKPOINT,
        description="Folder with config.json, model.safetensors and tokenizer.json, or a GGUF file; else the "
        "embedded one.",
    )
    probes: Path | None = Field(
        default=None,
        description="Folder of probes that were fitted on the checkpoint; else the embedded ones of its "
        "name, if there are any.",
    )
    no_probes: bool = Field(default=False, description="Load no probes.")
    model: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Models to serve, each NAME=FOLDER, separated by commas; they are loaded when a request "
        "names them. If a checkpoint is given too, it is the first; the first is loaded at the start and "
        "answers requests that name no model.",
    )
    model_probes: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Folders of probes of these models, each NAME=FOLDER, separated by commas; else those "
        "that are embedded for a folder of the model's name, if there are any.",
    )
    max_model_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Most bytes that the weights of all loaded models may take, 1 or more. For another model "
        "the one goes that was not used for longest, never one in use and never the first. Else no limit.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 listens on every interface."
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on, 0 to 65535; 0 takes a free one."
    )
    device: str = Field(
        default="cpu",
        pattern=r"^(cpu|mps|cuda(:\d+)?|auto)$",
        description="Where the model runs: cpu, mps, cuda, cuda:N, or auto, which shares a model of another "
        "make out among all GPUs (by the package accelerate).",
    )
    dtype: Precision = Field(
        default="auto",
        description="Numbers that a model computes in: float32, bfloat16, float16, or int8 for weights of "
        "linear layers and bfloat16 for the rest; auto is float32 on a CPU, and what weights are stored in "
        "elsewhere. One of our own make takes auto and float32, or int8 for weights. Signals and sampling "
        "are float32 always.",
    )
    kernel: Kernel = Field(
        default="auto",
        description="What computes a model of our own make: native, which is compiled when demur is "
        "installed and runs on a CPU, or torch; auto is native where it is there.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the blocks of models of another make by torch.compile when they are loaded, "
        "which takes a C++ compiler and about a minute; where it fails, they run without.",
    )
    max_context: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens of prompt and completion together, 1 or more; else the model's context. "
        "Fewer bound the memory of keys and values.",
    )
    max_rows: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="Sequences that decode at the same time, 1 to 4096. More take more memory.",
    )
    prefix_cache_bytes: int = Field(
        default=1_073_741_824,
        ge=0,
        description="Memory of keys and values up to which texts that have ended are kept, for requests that "
        "begin the same way; 0 keeps none.",
    )
    max_waiting: int = Field(
        default=256,
        ge=1,
        description="Requests that may wait to begin, 1 or more; further ones get status 429. A request with "
        "many prompts is one.",
    )
    max_queue_seconds: float = Field(
        default=60,
        ge=0.1,
        le=86400,
        description="How long a request may wait to begin, 0.1 to 86400; then it gets status 429, or at once "
        "if those before it will take longer.",
    )
    request_timeout_seconds: float = Field(
        default=600,
        ge=0.1,
        le=86400,
        description="How long a request may take, waiting included, 0.1 to 86400; then it gets status 504. A "
        "request's own `timeout` may be shorter.",
    )
    max_choices: int = Field(default=128, ge=1, le=4096, description="Largest `n` of a request, 1 to 4096.")
    max_request_choices: int = Field(
        default=256,
        ge=1,
        le=65536,
        description="Most completions of a request, `n` times its prompts, and most texts to be scored, "
        "1 to 65536.",
    )
    default_max_tokens: int = Field(
        default=512,
        ge=1,
        description="Most tokens of a completion that asks for no `max_tokens`, 1 or more. "
        "The model's context may hold fewer.",
    )
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        description="Largest request body in bytes, 1024 or more; a larger one gets status 413.",
    )
    header_timeout_seconds: float = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="How long a client may take to send a request's header, 0.1 to 3600.",
    )
    body_timeout_seconds: float = Field(
        default=20,
        ge=0.1,
        le=3600,
        description="How long a client may take to send a request's body, 0.1 to 3600; "
        "then it gets status 408.",
    )
    keep_alive_seconds: float = Field(
        default=5,
        ge=0.1,
        le=3600,
        description="How long a connection stays open for another request, 0.1 to 3600.",
    )
    write_timeout_seconds: float = Field(
        default=30,
        ge=0.1,
        le=3600,
        description="How long a client may read nothing of an answer that waits for it, 0.1 to 3600.",
    )
    max_connections: int = Field(
        default=1024,
        ge=1,
        le=65536,
        description="Connections at the same time, 1 to 65536. A new one takes the place of one that waits "
        "for its client; if all are being answered, it gets status 503.",
    )
    comparisons: Path = Field(
        default=Path("runs/comparisons"),
        description="Folder of the comparisons of /v1/compare, made with the first of them. No two servers "
        "can use the same. Comparisons that are unfinished go on when the server starts again.",
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        le=3600,
        description="When stopped, how long requests that are being answered may take to finish, 0 to 3600.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Web origins that may call the service, separated by commas; * allows all."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names that a request's Host may have besides localhost, this machine's name, the host "
        "listened on and any IP address, separated by commas; *.example.com is every name below, * is all.",
    )
    api_key: SecretStr | None = Field(
        default=None, min_length=1, description="If set, /v1 routes want it as `Authorization: Bearer KEY`."
    )
    api_keys: Path | None = Field(
        default=None, description="File of named API keys (`demur keys add`), read again when it changes."
    )
    api_keys_json: SecretStr | None = Field(
        default=None, min_length=1, description="The same as such a file holds, for where there is none."
    )
    protect_metrics: bool = Field(default=False, description="/metrics wants an API key too.")
    protect_docs: bool = Field(default=False, description="/docs and /openapi.json want an API key too.")
    log_format: LogFormat = Field(default="console", description="console, or json: an object per line.")
    tracing: bool = Field(default=False, description="Send traces by OpenTelemetry (the extra `otel`).")
    log_level: LogLevel = Field(default="info", description="critical, error, warning, info or debug.")

    @field_validator("cors_origins", "allowed_hosts", "model", "model_probes", mode="before")
    @classmethod
    def _split_on_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _require_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a host; give it without scheme, port and path")
        return value

    @field_validator("model", "model_probes")
    @classmethod
    def _require_pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [named_folder(each)[0] for each in value]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the name {twice[0]!r} is given twice")
        return value

    @model_validator(mode="after")
    def _require_models_of_probes(self) -> Self:
        served = [source.name for source in self.sources]
        if len(served) > len(set(served)):
            raise ValueError(
                f"model is {','.join(self.model)}: {served[0]!r} is the checkpoint's name already"
            )
        if self.probes is not None and self.model and "checkpoint" not in self.model_fields_set:
            raise ValueError(
                f"probes is {self.probes}, which goes with a checkpoint, but only model is given; say whose "
                f"they are with model_probes, such as {served[0]}={self.probes}"
            )
        for name, _ in map(named_folder, self.model_probes):
            if name not in served:
                raise ValueError(f"model_probes names {name!r}, which is not served; there are {served}")
        return self

    @model_validator(mode="after")
    def _require_keys_of_what_is_protected(self) -> Self:
        if (self.protect_metrics or self.protect_docs) and not self.asks_for_keys:
            what = "protect_metrics" if self.protect_metrics else "protect_docs"
            raise ValueError(f"{what} is true, but there is no API key; set api_keys or api_key")
        return self

    @property
    def asks_for_keys(self) -> bool:
        """Whether /v1 wants an API key."""
        return not (self.api_key is None and self.api_keys is None and self.api_keys_json is None)

    @property
    def probes_folder(self) -> Path | None:
        """The folder to load the checkpoint's probes from, if any are to be loaded."""
        return self._probes_of(self.checkpoint, self.probes)

    @property
    def sources(self) -> tuple[ModelSource, ...]:
        """The models to serve, the first of which answers requests that name none."""
        probes = dict(map(named_folder, self.model_probes))
        named = [
            ModelSource(name, folder, self._probes_of(folder, probes.get(name)))
            for name, folder in map(named_folder, self.model)
        ]
        if named and "checkpoint" not in self.model_fields_set:
            return tuple(named)
        name = self.checkpoint.resolve().name
        first = ModelSource(
            name, self.checkpoint, self._probes_of(self.checkpoint, self.probes or probes.get(name))
        )
        return (first, *named)

    def _probes_of(self, checkpoint: Path, given: Path | None) -> Path | None:
        if self.no_probes or given is not None:
            return None if self.no_probes else given
        embedded = EMBEDDED_PROBES / checkpoint.resolve().name
        return embedded if embedded.is_dir() else None


def load_settings(flags: Mapping[str, object] | None = None) -> Settings:
    """Settings from the environment; `flags` that are not None win over it.

    Raises:
        SettingsError: a value is not allowed; the message names the variable or flag, the value and what is.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType] (pydantic checks the values)
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(detail, given) for detail in error.errors())) from None


def _describe(detail: Mapping[str, Any], flags: Mapping[str, object]) -> str:
    if not detail["loc"]:  # of several settings together, which the message names
        return str(detail["msg"]).removeprefix("Value error, ")
    name = str(detail["loc"][0])
    source = f"--{name.replace('_', '-')}" if name in flags else f"DEMUR_{name.upper()}"
    field = Settings.model_fields.get(name)
    meaning = f" ({field.description})" if field else ""
    value = repr(detail["input"])
    if name in ("api_key", "api_keys_json"):  # never repeat a secret
        value = "empty" if not os.environ.get(f"DEMUR_{name.upper()}") else "not usable"
    return f"{source} is {value}: {detail['msg'][0].lower()}{detail['msg'][1:]}.{meaning}"
