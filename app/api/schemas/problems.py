"""The bodies of /v1/problems and /v1/problems/check."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.generation import REQUEST_CONFIG, ModelName
from app.compare.problem_sets.catalogue import SetDescription, SetExample
from models.corpora.splits import Split

MAX_PROBLEMS = 1000
MAX_TEXT = 100_000


class ProblemQuery(BaseModel):
    """Query of GET /v1/problems."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelName = None
    op: int | None = Field(
        default=None,
        ge=1,
        le=40,
        description="How many quantities the answer needs; the answer's `ops` has the range of the served "
        "model. Default: the largest that it was trained on.",
    )
    size: int | None = Field(default=None, ge=1, le=40, description="Another name of op.")
    split: Split = Field(
        default="test",
        description="train, validation, calibration or test. Splits share no solution template, so the model "
        "has seen none of those of the last three.",
    )
    seed: int = Field(
        default=0,
        ge=-(2**63),
        le=2**63 - 1,
        description="The same seed, op and split give the same problems; a longer list begins with the "
        "shorter one. A 64-bit integer.",
    )
    count: int = Field(default=1, ge=1, le=MAX_PROBLEMS, description=f"How many, 1 to {MAX_PROBLEMS}.")


class QuantityOut(BaseModel):
    """A quantity of a problem and how it is defined."""

    name: str
    kind: str = Field(description="How it is defined.")
    operands: list[str] = Field(description="The quantities that it is computed from, as they are written.")
    constant: int | None = Field(description="The number in its definition; null for a sum or difference.")
    value: int
    needed: bool = Field(description="Whether the answer depends on it; else it is there to distract.")


class GraphOut(BaseModel):
    """The quantities of a problem, in the order of its sentences."""

    question: str = Field(description="The quantity that is asked for.")
    quantities: list[QuantityOut]


class ProblemOut(BaseModel):
    """A problem of the corpus."""

    id: str = Field(description="op/number: the number counts from 0 within its op, split and seed.")
    split: Split
    op: int = Field(description="How many quantities the answer needs: the steps of a solution.")
    size: int = Field(description="The same, by the name that it has whatever the corpus.")
    seed: int
    prompt: str = Field(
        description="The `prompt` of /v1/completions, as it is, with the line break after it."
    )
    answer: str
    solution: str = Field(description="A right solution; the steps may stand in other orders too.")
    graph: GraphOut | None = Field(description="Null where problems of the corpus are no graphs.")


class OpRange(BaseModel):
    """Problem sizes: the model was trained on `min` to `trained_max`; up to `max` tests how it goes on."""

    min: int
    max: int
    trained_max: int


class SizesOut(OpRange):
    """What sizes are called: `name` in ids and tables, `label` in a form; `meaning` says what they count."""

    name: str
    label: str
    meaning: str


class ProblemList(BaseModel):
    """Answer of GET /v1/problems."""

    object: Literal["list"] = "list"
    data: list[ProblemOut]
    ops: OpRange
    sizes: SizesOut


class ProblemSetOut(SetDescription):
    """Answer of GET /v1/problem_sets/{name}."""

    object: Literal["problem_set"] = "problem_set"
    example: SetExample


class ProblemSetList(BaseModel):
    """Answer of GET /v1/problem_sets."""

    object: Literal["list"] = "list"
    data: list[SetDescription]
    reasoning_gym: bool = Field(description="Whether its generators are installed here, and listed.")


class CheckRequest(BaseModel):
    """Body of POST /v1/problems/check."""

    model_config = REQUEST_CONFIG

    model: ModelName = None
    prompt: str = Field(
        max_length=MAX_TEXT,
        description=f"A problem, as it is sent to /v1/completions; at most {MAX_TEXT} characters.",
    )
    completion: str = Field(
        max_length=MAX_TEXT,
        description="Its solution, whole or broken off anywhere, as /v1/completions returns it; at most "
        f"{MAX_TEXT} characters.",
    )


class StepOut(BaseModel):
    """A step of a solution and the verdict on it."""

    start: int = Field(description="Where it begins in the completion, in Unicode characters.")
    end: int = Field(description="Where it ends; exclusive.")
    quantity: str | None = Field(description="What it computes; null where it cannot be read.")
    verdict: str = Field(description="`correct`, or the first kind of mistake of the corpus that applies.")
    detail: str = Field(description="What is wrong with it; empty where nothing is.")


class CheckOut(BaseModel):
    """Answer of POST /v1/problems/check."""

    object: Literal["check"] = "check"
    problem_error: str | None = Field(
        description="Why the prompt is no problem of the corpus; then nothing else is judged."
    )
    graph: GraphOut | None = Field(description="Null where there is a `problem_error`, or no graph.")
    steps: list[StepOut] = Field(
        description="The sentences of the solution, each judged by what the solution says before it: a wrong "
        "value that is carried on consistently counts once. Text after the answer is a step of its own."
    )
    answer: str | None = Field(description="The answer as written; null where there is none.")
    expected: str | None = Field(description="The right answer.")
    answer_correct: bool
    correct: bool = Field(description="Every step is right, none is missing, and the answer is right.")
    missing: list[str] = Field(description="Needed quantities that no step computes.")
    unfinished: tuple[int, int] | None = Field(
        description="From where to where a last step or answer is broken off, in Unicode characters."
    )
