"""Where the problems of a comparison come from, as a spec says it."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.compare.answers import Exact, Marker, Reading
from app.compare.problem_sets.question_split import split_of_question
from app.compare.problem_sets.scoring import JudgeCommand, SameText, Scoring
from app.compare.problem_sets.templates import PromptTemplate, TextTemplate
from app.invalid import Listed, refusal, show
from models.corpora.splits import Split

SOURCE_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

MAX_PROBLEMS = 1_000_000
MAX_OP = 64
MAX_EXAMPLES = 64

Name = Annotated[str, Field(min_length=1, max_length=64)]


def null_is_the_default(cls: type[BaseModel], data: Any) -> Any:
    """A validator of whole models: a field that is null counts as left out."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if value is not None or name not in cls.model_fields}


class CorpusProblems(BaseModel):
    """Problems of the corpus that the checkpoint was trained on; its checker judges steps and answers."""

    model_config = SOURCE_CONFIG

    source: Literal["corpus"] = "corpus"
    split: Literal["train", "validation", "test"] = Field(
        default="validation", description="train, validation or test."
    )
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

    model_config = SOURCE_CONFIG

    id: str | None = Field(
        default=None, min_length=1, max_length=256, description="Names it. Default: its place, from 0."
    )
    prompt: str = Field(min_length=1, description="What is asked; without a template, exactly as it is.")
    answer: str | None = Field(
        default=None, max_length=4096, description="The right answer. Without one nothing is judged."
    )
    fields: dict[Name, str] = Field(
        default_factory=dict[str, str], description="Further texts, for templates and judge commands."
    )

    _nulls = model_validator(mode="before")(null_is_the_default)


class GivenProblems(BaseModel):
    """Problems that come with the request: prompts, with or without their answers."""

    model_config = SOURCE_CONFIG

    source: Literal["given"]
    items: Listed[Item] = Field(
        min_length=1, max_length=MAX_PROBLEMS, description="Prompts, with answers where they are known."
    )
    template: PromptTemplate = Field(default=TextTemplate(), description="How an item becomes a prompt.")
    examples: int = Field(
        default=0,
        ge=0,
        le=MAX_EXAMPLES,
        description="So many of the first items are shown with their answers before each question, and not "
        "asked, nor is an item with the same prompt and fields.",
    )
    split: Split | None = Field(
        default=None, description="Only those whose prompt falls into it, by its hash. Default: all."
    )
    count: int | None = Field(
        default=None, ge=1, le=MAX_PROBLEMS, description="At most so many, the first. Default: all."
    )
    reading: Reading = Field(
        default=Marker(), description="How the answer is read from a text, where an item has one."
    )
    scoring: Scoring = Field(default=SameText(), description="When an answer that was read is right.")

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

    @model_validator(mode="after")
    def _examples_are_there(self) -> Self:
        if self.examples >= len(self.items):
            raise refusal(
                "examples",
                f"examples is {self.examples}, but there are {len(self.items)} items, and those that are "
                "shown are not asked; show fewer",
                "conflicting_fields",
            )
        for place, item in enumerate(self.items[: self.examples]):
            if item.answer is None:
                raise refusal(
                    "examples",
                    f"examples is {self.examples}, but items[{place}] has no answer to be shown",
                    "conflicting_fields",
                )
        return self

    @model_validator(mode="after")
    def _answers_fit(self) -> Self:
        if isinstance(self.scoring, JudgeCommand):
            return self
        for place, item in enumerate(self.items):
            if item.answer is None:
                continue
            try:
                self.scoring.require(item.answer)
            except ValueError as error:
                raise refusal(
                    f"items[{place}].answer",
                    f"items[{place}].answer is {show(item.answer)}, which {error}; scoring is by "
                    f"{self.scoring.kind}",
                    "conflicting_fields",
                ) from error
        return self

    @property
    def ids(self) -> list[str]:
        """The name of every item."""
        return [str(place) if item.id is None else item.id for place, item in enumerate(self.items)]

    @property
    def asked(self) -> list[int]:
        """Places of the items that are asked."""
        shown = self.items[: self.examples]
        rest = [
            place
            for place, item in enumerate(self.items[self.examples :], self.examples)
            if not any((item.prompt, item.fields) == (each.prompt, each.fields) for each in shown)
        ]
        split = self.split
        if split is not None:
            rest = [place for place in rest if split_of_question(self.items[place].prompt) == split]
        return rest[: self.count]


Number = Annotated[int, Field(ge=-(2**53), le=2**53)] | Annotated[float, Field(ge=-1e15, le=1e15)]
Word = Annotated[str, Field(max_length=64)]
Setting = bool | Number | Word | Annotated[Listed[Number | Word], Field(max_length=64)]


class GymProblems(BaseModel):
    """Problems of a generator of reasoning-gym, whose own scorer says what an answer is worth, 0 to 1."""

    model_config = SOURCE_CONFIG

    source: Literal["reasoning_gym"]
    name: Name = Field(description="Of the generator, such as chain_sum; GET /v1/problem_sets lists them.")
    settings: dict[Name, Setting] = Field(
        default_factory=dict[str, Setting],
        max_length=64,
        description="How hard problems are: fields of the generator, such as min_terms.",
    )
    split: Split = Field(
        default="validation",
        description="train, validation, calibration or test, a quarter of all problems each, by the hash of "
        "the question.",
    )
    count: int = Field(default=100, ge=1, le=5_000, description="Different problems, 1 to 5000.")
    template: PromptTemplate = Field(default=TextTemplate(), description="How a problem becomes a prompt.")
    examples: int = Field(
        default=0,
        ge=0,
        le=MAX_EXAMPLES,
        description="So many problems of the split train are shown with their answers before each question.",
    )
    reading: Reading = Field(default=Exact(rule="exact"), description="How the answer is read from a text.")

    _nulls = model_validator(mode="before")(null_is_the_default)

    @model_validator(mode="after")
    def _examples_are_not_asked(self) -> Self:
        if self.examples and self.split == "train":
            raise refusal(
                "examples",
                f"examples is {self.examples}, and examples are of the split train, which is asked; leave "
                "one of them out",
                "conflicting_fields",
            )
        return self


ProblemSource = Annotated[CorpusProblems | GivenProblems | GymProblems, Field(discriminator="source")]


def problems_asked(source: CorpusProblems | GivenProblems | GymProblems) -> int:
    """How many problems every arm is to solve."""
    return len(source.asked) if isinstance(source, GivenProblems) else source.count


def gives_parts(source: GivenProblems) -> bool:
    """Whether an answer may be worth a part of a point."""
    scoring = source.scoring
    return scoring.kind == "command" or (scoring.kind == "set" and scoring.credit == "f1")
