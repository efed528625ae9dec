"""What is to be compared: arms and problems. The same in a file, over HTTP and in a folder."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.compare.answers import Marker, Reading
from app.decoding.sampling.fields import SamplingFields
from app.decoding.strategies import ComparisonStrategy
from app.decoding.strategies.base import kind_of
from app.errors import ParameterError, RequestError
from app.invalid import Listed, first_complaint, refusal, show

SPEC_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

MAX_ARMS = 32
MAX_PROBLEMS = 1_000_000
MAX_OP = 64

Split = Literal["train", "validation", "test"]


def null_is_the_default(cls: type[BaseModel], data: Any) -> Any:
    """A validator of whole models: a field that is null counts as left out."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if value is not None or name not in cls.model_fields}


class Arm(SamplingFields):
    """A strategy with the request's own sampling, under a name."""

    model_config = SPEC_CONFIG

    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="1 to 64 letters, digits, _, . or -; no two arms have the same.",
    )
    strategy: ComparisonStrategy = Field(
        description='{"kind": ...} with the parameters that GET /v1/strategies lists.'
    )

    _nulls = model_validator(mode="before")(null_is_the_default)

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        try:
            _ = self.sampling
        except RequestError as error:
            raise refusal(error.param or "strategy", error.message, error.code) from error
        return self


class CorpusProblems(BaseModel):
    """Problems of the corpus that the checkpoint was trained on; its checker judges steps and answers."""

    model_config = SPEC_CONFIG

    source: Literal["corpus"] = "corpus"
    split: Split = Field(default="validation", description="train, validation or test.")
    ops: Listed[Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_OP})]] = Field(
        default=[1, 6],
        min_length=2,
        max_length=2,
        description="Smallest and largest op, both included: quantities that an answer needs.",
    )
    count: int = Field(
        default=500,
        ge=1,
        le=MAX_PROBLEMS,
        description=f"Problems in all, 1 to {MAX_PROBLEMS}, spread evenly over the ops.",
    )

    _nulls = model_validator(mode="before")(null_is_the_default)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.ops
        if not 1 <= low <= high <= MAX_OP:
            raise refusal(
                "ops",
                f"ops is [{low}, {high}]; it must be [smallest, largest] with 1 <= smallest <= largest",
                "out_of_range",
            )
        if self.count < high - low + 1:
            raise refusal(
                "count",
                f"count is {self.count}, but ops {low} to {high} are {high - low + 1}; ask for at least one "
                "problem of each",
                "conflicting_fields",
            )
        return self


class Item(BaseModel):
    """A problem that is given."""

    model_config = SPEC_CONFIG

    id: str | None = Field(
        default=None, min_length=1, max_length=256, description="Names it. Default: its place, from 0."
    )
    prompt: str = Field(min_length=1, description="Exactly what the model is to continue.")
    answer: str | None = Field(
        default=None, max_length=4096, description="The right answer. Without one nothing is judged."
    )

    _nulls = model_validator(mode="before")(null_is_the_default)


class GivenProblems(BaseModel):
    """Problems that come with the request: prompts, with or without their answers."""

    model_config = SPEC_CONFIG

    source: Literal["given"]
    items: Listed[Item] = Field(
        min_length=1, max_length=MAX_PROBLEMS, description="Prompts, with answers where they are known."
    )
    reading: Reading = Field(
        default=Marker(), description="How the answer is read from a text, where an item has one."
    )

    _nulls = model_validator(mode="before")(null_is_the_default)

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        repeated = [name for name, count in Counter(self.ids).items() if count > 1]
        if repeated:
            raise refusal(
                "items",
                f"items has the id {repeated[0]!r} more than once; without one, an item's place is its id",
            )
        return self

    @property
    def ids(self) -> list[str]:
        """The name of every item."""
        return [str(place) if item.id is None else item.id for place, item in enumerate(self.items)]


class ComparisonSpec(BaseModel):
    """Everything that decides what a comparison computes."""

    model_config = SPEC_CONFIG

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$",  # of a folder too, so neither . nor ..
        description="1 to 64 letters, digits, _, . or -, the first no dot. Default: none.",
    )
    arms: Listed[Arm] = Field(
        min_length=1, max_length=MAX_ARMS, description=f"What is compared: 1 to {MAX_ARMS} arms."
    )
    problems: Annotated[CorpusProblems | GivenProblems, Field(discriminator="source")] = Field(
        default_factory=CorpusProblems,
        description='{"source": "corpus", "split", "ops", "count"}, or'
        ' {"source": "given", "items", "reading"}.',
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="The same seed gives the same problems and texts, 0 to 2^32 - 1. A problem has the "
        "same seed in every arm.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="Most tokens of a completion, 1 or more. Default: what the context holds.",
    )
    signals: Listed[Annotated[str, Field(max_length=128)]] = Field(
        default_factory=list[str],
        max_length=64,
        description="If given, every token's text and these signals are kept with the outcome.",
    )
    baseline: str | None = Field(
        default=None, description="Name of the arm that others are compared with. Default: the first."
    )
    latency_problems: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="So many problems are solved once more one at a time per arm, for latency alone, 0 to "
        "10000; 0 measures none.",
    )

    _nulls = model_validator(mode="before")(null_is_the_default)

    @field_validator("arms", mode="before")
    @classmethod
    def _not_too_many(cls, arms: Any) -> Any:
        if isinstance(arms, list | tuple) and len(arms) > MAX_ARMS:
            raise refusal(
                "arms",
                f"arms has {len(arms)}; at most {MAX_ARMS} are compared at once. Leave some out, or make "
                "several comparisons of them",
                "out_of_range",
            )
        return arms

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [arm.name for arm in self.arms]
        for name, count in Counter(names).items():
            if count > 1:
                raise refusal("arms", f"arms has the name {name!r} {count} times; give each arm its own")
        if self.baseline is not None and self.baseline not in names:
            raise refusal(
                "baseline",
                f"baseline is {show(self.baseline)}; the arms are {', '.join(names)}",
                "unknown_name",
            )
        if isinstance(self.problems, GivenProblems):
            for place, arm in enumerate(self.arms):
                if arm.strategy.told_the_truth:
                    kind = kind_of(type(arm.strategy))
                    raise refusal(
                        f"arms[{place}].strategy",
                        f"arm {arm.name!r} has the strategy {kind!r}, which is told what is wrong by "
                        "the corpus' checker; use it on problems of the corpus",
                        "conflicting_fields",
                    )
        return self

    @property
    def baseline_arm(self) -> str:
        """Name of the arm that others are compared with."""
        return self.arms[0].name if self.baseline is None else self.baseline

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell whoever asked for it: old names of fields."""
        said = [f"arm {arm.name!r}: {warning}" for arm in self.arms for warning in arm.strategy.warnings]
        if isinstance(self.problems, GivenProblems) and isinstance(self.problems.reading, Marker):
            said += [f"problems.reading: {warning}" for warning in self.problems.reading.warnings]
        return tuple(said)

    @property
    def judges_steps(self) -> bool:
        """Whether the corpus' checker judges every step: `solved` is then the measure, else `correct`."""
        return isinstance(self.problems, CorpusProblems)


def parse_spec(data: object) -> ComparisonSpec:
    """The comparison that a file or a request describes.

    Raises:
        ParameterError: it describes none; the message names the field, its value and what is allowed.
    """
    try:
        return ComparisonSpec.model_validate(data)
    except ValidationError as error:
        complaint = first_complaint(error.errors(include_url=False), data, ComparisonSpec)
    if complaint is None:
        raise ParameterError("A comparison is an object with the field arms, at least.", code="invalid_type")
    raise ParameterError(f"{complaint.message.rstrip('.')}.", param=complaint.param, code=complaint.code)
