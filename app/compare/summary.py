"""What a comparison shows so far: from outcomes to a report, the same one for the same outcomes."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.compare.cautions import cautions
from app.compare.graded import is_graded, mean_worth
from app.compare.outcome import LatencySample, Outcome
from app.compare.pairs import all_pairs, with_baseline
from app.compare.pareto import pareto
from app.compare.problem_sets.sources import CorpusProblems, GymProblems, gives_parts, problems_asked
from app.compare.resampling import resampled_means, resamples_of
from app.compare.results import (
    ArmResult,
    ComparisonReport,
    Duration,
    GroupResult,
    Latency,
    Measure,
    Spread,
)
from app.compare.several_sets import Part, parts_of
from app.compare.spec import ComparisonSpec
from app.compare.statistics import interval, median, share
from app.compare.table import Table, tabulate

Floats = NDArray[np.float64]


def summarise(
    spec: ComparisonSpec, outcomes: Sequence[Outcome], latency: Sequence[LatencySample]
) -> ComparisonReport:
    """The report of all outcomes there are, in any order; arms may have finished different problems.

    Raises:
        ValueError: outcomes of an arm that the spec does not have, or two of one problem and arm.
    """
    names = [arm.name for arm in spec.arms]
    told = [arm.strategy.told_the_truth for arm in spec.arms]
    measure = measure_of(spec)
    table = tabulate(names, outcomes, measure)
    problems = problems_of(spec)
    finished = ~np.isnan(table.kept)
    arms = _arms(names, told, table, outcomes, latency)
    pairs = all_pairs(names, table)
    against = with_baseline(names, table, spec.baseline_arm)
    usable = [column for column in range(len(names)) if not told[column]]
    comparable = (~np.isnan(table.right[:, usable])).all(axis=1)
    report = ComparisonReport(
        spec=spec,
        measure=measure,
        baseline=spec.baseline_arm,
        problems=problems,
        common=int(finished.all(axis=1).sum()),
        finished=bool(len(outcomes) == problems * len(names)),
        arms=arms,
        against_baseline=against,
        pairs=pairs,
        pareto=pareto(
            [names[column] for column in usable],
            table.right[comparable][:, usable],
            table.tokens[comparable][:, usable],
        ),
        resamples=resamples_of(len(table.problems)),
        warnings=(),
    )
    return report.model_copy(update={"warnings": cautions(report)})


def problems_of(spec: ComparisonSpec) -> int:
    """How many problems each arm is to solve."""
    return sum(problems_asked(part.problems) for part in parts_of(spec.problems))


def samples_of(spec: ComparisonSpec) -> int:
    """How many latency samples are taken in all."""
    return min(spec.latency_problems, problems_of(spec)) * len(spec.arms)


def measure_of(spec: ComparisonSpec) -> Measure | None:
    """What accuracy counts: whole solutions where steps are judged, scores where an answer may be worth a
    part of a point or where sets are judged in different ways, else answers where there are any."""
    measures: list[Measure | None] = [_measure_of(part) for part in parts_of(spec.problems)]
    found: list[Measure] = [each for each in measures if each is not None]
    if not found:
        return None
    return found[0] if len(set(found)) == 1 else "score"


def _measure_of(part: Part) -> Measure | None:
    problems = part.problems
    if isinstance(problems, CorpusProblems):
        return "solved"
    if isinstance(problems, GymProblems) or gives_parts(problems):
        return "score"
    return "correct" if any(problems.items[place].answer is not None for place in problems.asked) else None


def _arms(
    names: Sequence[str],
    told: Sequence[bool],
    table: Table,
    outcomes: Sequence[Outcome],
    latency: Sequence[LatencySample],
) -> tuple[ArmResult, ...]:
    counts = np.stack([table.tokens, table.kept, table.discarded, table.rows, table.events], axis=2)
    kinds = counts.shape[2]
    drawn = resampled_means(counts.reshape(-1, len(names) * kinds)).reshape(-1, len(names), kinds)
    found: list[ArmResult] = []
    graded = is_graded(table.right)
    for column, name in enumerate(names):
        right, answered = table.right[:, column], table.answered[:, column]
        tokens, kept, discarded, rows, events = (
            _spread(_known(counts[:, column, place]), drawn[:, column, place]) for place in range(kinds)
        )
        found.append(
            ArmResult(
                name=name,
                told=told[column],
                problems=len(_known(answered)),
                accuracy=mean_worth(right, graded=graded),
                answers_right=share(table.answer_right[:, column]),
                coverage=share(answered),
                accuracy_when_answered=mean_worth(right[answered == 1], graded=graded),
                tokens=tokens,
                kept=kept,
                discarded=discarded,
                forward_rows=rows,
                events=events,
                finish_reasons=_finish_reasons(outcome for outcome in outcomes if outcome.arm == name),
                unjudged=sum(
                    each.judge_error is not None and each.score is None
                    for each in outcomes
                    if each.arm == name
                ),
                groups=_groups(table, column, graded=graded),
                latency=_latency(
                    _known(table.latency[:, column]), [sample for sample in latency if sample.arm == name]
                ),
            )
        )
    return tuple(found)


def _groups(table: Table, column: int, *, graded: bool) -> tuple[GroupResult, ...]:
    found: list[GroupResult] = []
    for group in table.group_names:
        inside = table.of_group(group)
        tokens = _known(table.tokens[inside, column])
        if len(tokens):
            accuracy = mean_worth(table.right[inside, column], graded=graded)
            found.append(
                GroupResult(group=group, problems=len(tokens), accuracy=accuracy, tokens=float(tokens.mean()))
            )
    return tuple(found)


def _finish_reasons(outcomes: Iterable[Outcome]) -> dict[str, int]:
    counts = Counter(outcome.finish_reason for outcome in outcomes)
    return {reason: counts[reason] for reason in sorted(counts)}


def _latency(under_load: Floats, alone: Sequence[LatencySample]) -> Latency:
    return Latency(
        under_load=_duration(under_load),
        alone=_duration(np.array([sample.latency_s for sample in alone])),
        first_token=_duration(np.array([sample.first_token_s for sample in alone])),
    )


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _spread(values: Floats, drawn: Floats) -> Spread | None:
    if not len(values):
        return None
    low, middle, high = (float(each) for each in np.quantile(values, [0.05, 0.5, 0.95]))
    return Spread(mean=interval(float(values.mean()), drawn), q05=low, q50=middle, q95=high)


def _duration(seconds: Floats) -> Duration | None:
    middle = median(seconds)
    if middle is None:
        return None
    return Duration(problems=len(seconds), median=middle, p95=float(np.quantile(seconds, 0.95)))
