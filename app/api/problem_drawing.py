"""Problems of the served model's corpus, and verdicts on solutions, in the shapes of their routes."""

from collections.abc import Mapping
from typing import Any

from app.api.errors import ApiError
from app.api.schemas.problems import (
    CheckOut,
    GraphOut,
    OpRange,
    ProblemList,
    ProblemOut,
    ProblemQuery,
    QuantityOut,
    SizesOut,
    StepOut,
)
from app.api.serving import Serving
from models.corpora.abilities import WithGraph
from models.corpora.corpus import CORRECT, Corpus, DrawnProblem, judge
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_of, why_none
from models.errors import SpecError


def served_corpus(serving: Serving) -> Corpus:
    """The corpus that the served model was trained on.

    Raises:
        ApiError: 404, the model's card names none that is known.
    """
    corpus = corpus_of(serving.checkpoint.card)
    if corpus is None:
        raise ApiError(
            f"The card of {serving.name!r} {why_none(serving.checkpoint.card)}, so there are no problems to "
            "draw and no checker of solutions; serve a model that `demur pretrain` made",
            status=404,
            code="no_corpus",
        )
    return corpus


def draw(corpus: Corpus, query: ProblemQuery) -> ProblemList:
    """The first problems of a size, split and seed: those that a comparison and `demur evaluate` draw.

    Raises:
        ApiError: the size is beyond the corpus or named twice, or the split has no problem so small.
    """
    sizes = corpus.sizes
    if None not in (query.op, query.size) and query.op != query.size:
        raise ApiError(
            "op and size are two names of one thing; give one", param="size", code="conflicting_fields"
        )
    asked = query.op if query.size is None else query.size
    size, param = sizes.trained_max if asked is None else asked, "op" if query.size is None else "size"
    if size > sizes.max:
        raise ApiError(
            f"{param} is {size}; the corpus of this model has problems of {sizes.name} {sizes.min} to "
            f"{sizes.max}",
            param=param,
            code="out_of_range",
        )
    try:
        drawn = draw_set(corpus, query.split, size, query.count, query.seed)
    except SpecError as error:
        raise ApiError(str(error), param=param, code="out_of_range") from error
    data = [_problem(problem, number, corpus, query) for number, problem in enumerate(drawn)]
    ops = OpRange(min=sizes.min, max=sizes.max, trained_max=sizes.trained_max)
    named = SizesOut(name=sizes.name, label=sizes.label, meaning=sizes.meaning, **ops.model_dump())
    return ProblemList(data=data, ops=ops, sizes=named)


def describe_corpus(document: Mapping[str, Any], serving: Serving) -> None:
    """Write into an OpenAPI document how large the problems of the served corpus are, and what its verdicts
    and kinds of definition are."""
    corpus = corpus_of(serving.checkpoint.card)
    if corpus is None:
        return
    for parameter in document["paths"]["/v1/problems"]["get"]["parameters"]:
        if parameter["name"] in ("op", "size"):
            for branch in parameter["schema"]["anyOf"]:
                if branch["type"] == "integer":
                    branch["maximum"] = corpus.sizes.max
    schemas = document["components"]["schemas"]
    _describe_verdicts(schemas["StepOut"]["properties"]["verdict"], corpus.verdicts)
    if isinstance(corpus, WithGraph):
        schemas["QuantityOut"]["properties"]["kind"]["enum"] = list(corpus.graph_kinds)


def _describe_verdicts(field: dict[str, Any], verdicts: Mapping[str, str]) -> None:
    mistakes = ", ".join(f"`{name}` {text}" for name, text in verdicts.items() if name != CORRECT)
    field["enum"] = list(verdicts)
    field["description"] = f"The first that applies: {mistakes}, or else `{CORRECT}`."


def check(corpus: Corpus, prompt: str, completion: str) -> CheckOut:
    """The corpus checker's verdict on every step of a solution, and on its answer."""
    report = judge(corpus, prompt, completion)
    return CheckOut(
        problem_error=report.problem_error,
        graph=_graph(corpus, prompt) if report.problem_error is None else None,
        steps=[
            StepOut(
                start=step.start,
                end=step.end,
                quantity=step.subject,
                verdict=step.verdict,
                detail=step.detail,
            )
            for step in report.steps
        ],
        answer=None if report.answer is None else str(report.answer),
        expected=None if report.expected is None else str(report.expected),
        answer_correct=report.answer_correct,
        correct=report.correct,
        missing=list(report.missing),
        unfinished=report.unfinished,
    )


def _problem(problem: DrawnProblem, number: int, corpus: Corpus, query: ProblemQuery) -> ProblemOut:
    prompt = problem.prompt + corpus.layout.solution_start  # as comparisons and chats have it
    return ProblemOut(
        id=f"{problem.size}/{number}",
        split=query.split,
        op=problem.size,
        size=problem.size,
        seed=query.seed,
        prompt=prompt,
        answer=str(problem.answer),
        solution=problem.solution,
        graph=_graph(corpus, prompt),
    )


def _graph(corpus: Corpus, prompt: str) -> GraphOut | None:
    if not isinstance(corpus, WithGraph):
        return None
    graph = corpus.graph(prompt)
    return GraphOut(
        question=graph.question,
        quantities=[
            QuantityOut(
                name=each.name,
                kind=each.kind,
                operands=list(each.operands),
                constant=each.constant,
                value=each.value,
                needed=each.needed,
            )
            for each in graph.quantities
        ],
    )
