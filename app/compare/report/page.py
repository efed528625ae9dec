"""The report as one HTML page, in the style of the probes' report.

It needs no network and no other file, follows light and dark mode, and can be read on a phone.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel

import probes.judging.drawing
from app.compare.about import About
from app.compare.outcome import Outcome
from app.compare.problem_sets.sources import CorpusProblems, GivenProblems
from app.compare.report import figures, words
from app.compare.report.texts import side_by_side
from app.compare.results import ArmResult, ComparisonReport, PairResult

_ALWAYS_SHOWN = ("kind", "source", "rule", "name")  # fields that say what the others mean

_ONE_STYLE = threading.Lock()
"""matplotlib's style is that of the process: two threads that draw take it from each other."""


@dataclass(frozen=True)
class _Figure:
    """A figure in two drawings, of which the page shows the one that fits."""

    title: str
    note: str
    wide: Markup
    narrow: Markup


def render(report: ComparisonReport, outcomes: Sequence[Outcome], about: About | None = None) -> str:
    """The page; the same report gives the same bytes. All text of the report is escaped.

    outcomes: those that the report was made of; texts are shown from them.
    about: what it ran on, if that is known.
    """
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, Path(probes.judging.drawing.__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        about=about,
        headline=words.headline(report),
        problems=_problems(report),
        measure=_measure(report),
        figures=_figures(report),
        ranked=_ranked(report),
        against={pair.arm: pair for pair in report.against_baseline},
        model_of={arm.name: arm.model for arm in report.spec.arms if arm.model is not None},
        point_of={point.arm: point for point in report.pareto},
        signed_pairs=_both_ways(report),
        groups=_groups(report),
        in_group={(arm.name, group.group): group for arm in report.arms for group in arm.groups},
        texts=side_by_side(report, outcomes),
        spec=_spec(report),
        words=words,
    )


def _figures(report: ComparisonReport) -> list[_Figure]:
    drawn: list[tuple[str, str, Callable[[ComparisonReport, float], str]]] = []
    judged = any(arm.accuracy is not None for arm in report.arms)
    if judged:
        note = (
            "Up and to the left is better. Lines are 95% intervals. The dashed stair is the Pareto front: "
            "no arm is as accurate for fewer tokens. Pale arms are off it, hollow ones told what is wrong."
        )
        drawn.append(("Accuracy against tokens", note, figures.frontier))
    if judged and len(report.arms) > 1:
        note = (
            f"Percentage points more than {report.baseline} on the same problems, with 95% interval. "
            "Triangles: shown to be better or worse after correction; circles: not clear."
        )
        drawn.append((f"Difference to {report.baseline}", note, figures.forest))
    if any(arm.tokens for arm in report.arms):
        note = (
            "Bars: means; what is discarded was computed too, and paid for. The line below a bar holds nine "
            "problems in ten, its tick is the median."
        )
        drawn.append(("Tokens", note, figures.tokens))
    if any(arm.latency.under_load or arm.latency.alone for arm in report.arms):
        note = (
            "The median, and a line to the 95% quantile. Alone: one request at a time. Under load: all arms "
            "of many problems at once."
        )
        drawn.append(("Latency", note, figures.latency))
    with _ONE_STYLE:
        return [
            _Figure(title, note, Markup(draw(report, figures.WIDE)), Markup(draw(report, figures.NARROW)))
            for title, note, draw in drawn
        ]


def _ranked(report: ComparisonReport) -> list[ArmResult]:
    """The most accurate first; the order of the spec where nothing is judged."""
    return sorted(report.arms, key=lambda arm: -arm.accuracy.value if arm.accuracy else 1.0)


def _both_ways(report: ComparisonReport) -> dict[tuple[str, str], tuple[float, PairResult]]:
    """Difference of any two arms, in both orders, with the pair that it stands in."""
    found: dict[tuple[str, str], tuple[float, PairResult]] = {}
    for pair in report.pairs:
        if pair.difference is not None:
            found[pair.arm, pair.other] = (pair.difference.value, pair)
            found[pair.other, pair.arm] = (-pair.difference.value, pair)
    return found


def _groups(report: ComparisonReport) -> list[str]:
    """Groups in order, from the arm that has most of them."""
    return [group.group for group in max(report.arms, key=lambda arm: len(arm.groups)).groups]


def _problems(report: ComparisonReport) -> str:
    problems = report.spec.problems
    if isinstance(problems, CorpusProblems):
        low, high = problems.ops
        groups = _groups(report)  # named after the corpus's word for sizes
        size = groups[0].rpartition(" ")[0] if groups else "op"
        return f"{problems.count:,} of the corpus, {problems.split}, {size} {low} to {high}"
    if isinstance(problems, GivenProblems):
        return f"{len(problems.asked):,} that were given"
    return f"{problems.count:,} of {problems.name} of reasoning-gym, {problems.split}"


def _measure(report: ComparisonReport) -> str:
    match report.measure:
        case "solved":
            return "every step and the answer right"
        case "correct":
            return "the answer right"
        case "score":
            return "the score between 0 and 1"
        case None:
            return "nothing: there are no answers"


def _spec(report: ComparisonReport) -> str:
    """The spec as YAML, without what is default; problems that were given are only counted."""
    plain = _explicit(report.spec)
    problems = report.spec.problems
    if isinstance(problems, GivenProblems):
        plain["problems"] = _explicit(problems) | {"items": f"({len(problems.items)} items: see spec.json)"}
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)


def _explicit(model: BaseModel) -> dict[str, object]:
    """Fields that differ from their defaults, and those without which the rest means nothing."""
    dumped = model.model_dump(mode="json")
    found: dict[str, object] = {}
    fields = type(model).model_fields
    for name in sorted(fields, key=lambda name: name not in _ALWAYS_SHOWN):
        field = fields[name]
        value = getattr(model, name)
        if value is None or (
            name not in _ALWAYS_SHOWN and value == field.get_default(call_default_factory=True)
        ):
            continue
        found[name] = _explicit_value(value, dumped[name])
    return found


def _explicit_value(value: object, dumped: object) -> object:
    if isinstance(value, BaseModel):
        return _explicit(value)
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        return [_explicit_value(each, plain) for each, plain in zip(value, dumped, strict=True)]
    return dumped
