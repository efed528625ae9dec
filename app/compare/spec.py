"""What is to be compared: arms and problems. The same in a file, over HTTP and in a folder."""

from collections import Counter
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from app.compare.answers import Marker
from app.compare.problem_sets.sources import (
    SOURCE_CONFIG,
    CorpusProblems,
    ProblemSource,
    null_is_the_default,
)
from app.compare.problem_sets.templates import PromptTemplate
from app.decoding.sampling.fields import SamplingFields
from app.decoding.strategies import ComparisonStrategy
from app.decoding.strategies.base import kind_of
from app.errors import ParameterError, RequestError
from app.invalid import Listed, first_complaint, refusal, show

MAX_ARMS = 32
MAX_STOPS = 16

MaxTokens = Annotated[int, Field(ge=1, le=2**31 - 1)]
Stops = Annotated[Listed[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=MAX_STOPS)]
StopTokens = Annotated[Listed[Annotated[int, Field(ge=0, lt=2**31)]], Field(max_length=1024)]


class Arm(SamplingFields):
    """A strategy with the request's own sampling, under a name."""

    model_config = SOURCE_CONFIG

    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="1 to 64 letters, digits, _, . or -; no two arms have the same.",
    )
    strategy: ComparisonStrategy = Field(
        description='{"kind": ...} with the parameters that GET /v1/strategies lists.'
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="The model that it runs on, one of GET /v1/models. Default: the first of them.",
    )
    stop: Stops | None = Field(default=None, description="In the place of the comparison's.")
    stop_token_ids: StopTokens | None = Field(default=None, description="In the place of the comparison's.")
    max_tokens: MaxTokens | None = Field(default=None, description="In the place of the comparison's.")
    template: PromptTemplate | None = Field(
        default=None, description="How this arm's prompts are written. Default: as the problems say."
    )

    _nulls = model_validator(mode="before")(null_is_the_default)

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        try:
            _ = self.sampling
        except RequestError as error:
            raise refusal(error.param or "strategy", error.message, error.code) from error
        return self


class ComparisonSpec(BaseModel):
    """Everything that decides what a comparison computes."""

    model_config = SOURCE_CONFIG

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$",  # of a folder too, so neither . nor ..
        description="1 to 64 letters, digits, _, . or -, the first no dot. Default: none.",
    )
    arms: Listed[Arm] = Field(
        min_length=1, max_length=MAX_ARMS, description=f"What is compared: 1 to {MAX_ARMS} arms."
    )
    problems: ProblemSource = Field(
        default_factory=CorpusProblems,
        description='{"source": "corpus", "split", "ops", "count"}, {"source": "given", "items", "reading"},'
        ' or {"source": "reasoning_gym", "name", "settings", "split", "count"}.',
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="The same seed gives the same problems and texts, 0 to 2^32 - 1. A problem has the "
        "same seed in every arm.",
    )
    max_tokens: MaxTokens | None = Field(
        default=None, description="Most tokens of a completion, 1 or more. Default: what the context holds."
    )
    stop: Stops = Field(
        default_factory=list[str], description="Texts that end a completion, and are no part of it."
    )
    stop_token_ids: StopTokens = Field(
        default_factory=list[int], description="Tokens that end a completion as the end token does."
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
        if isinstance(self.problems, CorpusProblems):
            for place, arm in enumerate(self.arms):
                if arm.template is not None:
                    raise refusal(
                        f"arms[{place}].template",
                        f"arm {arm.name!r} has a template; problems of the corpus are what the model was "
                        "trained on, as they are. Leave it out",
                        "conflicting_fields",
                    )
        else:
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
    def models(self) -> tuple[str | None, ...]:
        """The name of each model that is needed; the default, None, is the first if it is among them."""
        named = dict.fromkeys(arm.model for arm in self.arms)
        with_default = None in named or isinstance(self.problems, CorpusProblems)
        return tuple(dict.fromkeys([None, *named]) if with_default else named)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell whoever asked for it: old names of fields."""
        said = [f"arm {arm.name!r}: {warning}" for arm in self.arms for warning in arm.strategy.warnings]
        if not isinstance(self.problems, CorpusProblems) and isinstance(self.problems.reading, Marker):
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
