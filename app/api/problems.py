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
    StepOut,
)
from app.api.service import Serving
from models.corpora.igsm.check import check_parsed
from models.corpora.igsm.graph import Problem
from models.corpora.igsm.parse import ParsedProblem, ProblemSyntaxError, parse_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import SOLUTION_START, render_problem, render_solution
from models.errors import SpecError
from models.evaluate import draw_set

_WITHOUT_CONSTANT = ("sum", "difference")


def corpus_of(serving: Serving) -> IgsmSpec:
    """The corpus that the served model was trained on.

    Raises:
        ApiError: 404, the model's card names none.
    """
    spec = IgsmSpec.of_checkpoint(serving.checkpoint.card)
    if spec is None:
        raise ApiError(
            f"The card of {serving.name!r} names no igsm corpus, so there are no problems to draw and no "
            "checker of solutions; serve a model that `demur pretrain` made",
            status=404,
            code="no_corpus",
        )
    return spec


def draw(spec: IgsmSpec, query: ProblemQuery) -> ProblemList:
    """The first problems of an op, split and seed: those that a comparison and `demur evaluate` draw.

    Raises:
        ApiError: the op is beyond the corpus, or the split has no problem so small.
    """
    ops = OpRange(min=1, max=spec.op_largest, trained_max=spec.op_max)
    op = spec.op_max if query.op is None else query.op
    if op > ops.max:
        raise ApiError(
            f"op is {op}; the corpus of this model has problems of op {ops.min} to {ops.max}",
            param="op",
            code="out_of_range",
        )
    try:
        drawn = draw_set(spec, query.split, op, query.count, query.seed)
    except SpecError as error:
        raise ApiError(str(error), param="op", code="out_of_range") from error
    data = [_problem(problem, number, spec, query) for number, problem in enumerate(drawn)]
    return ProblemList(data=data, ops=ops)


def describe_ops(document: Mapping[str, Any], serving: Serving) -> None:
    """Write into an OpenAPI document how large the problems of the served corpus are."""
    spec = IgsmSpec.of_checkpoint(serving.checkpoint.card)
    if spec is None:
        return
    for parameter in document["paths"]["/v1/problems"]["get"]["parameters"]:
        if parameter["name"] == "op":
            for branch in parameter["schema"]["anyOf"]:
                if branch["type"] == "integer":
                    branch["maximum"] = spec.op_largest


def check(spec: IgsmSpec, prompt: str, completion: str) -> CheckOut:
    """The corpus checker's verdict on every step of a solution, and on its answer."""
    try:
        problem = parse_problem(prompt, spec.modulus)
    except ProblemSyntaxError as error:
        return CheckOut(
            problem_error=str(error),
            graph=None,
            steps=[],
            answer=None,
            expected=None,
            answer_correct=False,
            correct=False,
            missing=[],
            unfinished=None,
        )
    report = check_parsed(problem, completion)
    return CheckOut(
        problem_error=None,
        graph=_graph(problem),
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
        expected=str(problem.answer),
        answer_correct=report.answer_correct,
        correct=report.correct,
        missing=list(report.missing),
        unfinished=report.unfinished,
    )


def _problem(problem: Problem, number: int, spec: IgsmSpec, query: ProblemQuery) -> ProblemOut:
    prompt = render_problem(problem) + SOLUTION_START  # as comparisons and chats have it
    return ProblemOut(
        id=f"{problem.op}/{number}",
        split=query.split,
        op=problem.op,
        seed=query.seed,
        prompt=prompt,
        answer=str(problem.answer),
        solution=render_solution(problem),
        graph=_graph(parse_problem(prompt, spec.modulus)),
    )


def _graph(problem: ParsedProblem) -> GraphOut:
    return GraphOut(
        question=problem.question,
        quantities=[
            QuantityOut(
                name=name,
                kind=definition.kind,
                operands=list(definition.operands),
                constant=None if definition.kind in _WITHOUT_CONSTANT else definition.constant,
                value=problem.values[name],
                needed=name in problem.needed,
            )
            for name, definition in problem.definitions.items()
        ],
    )
