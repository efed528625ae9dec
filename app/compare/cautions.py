"""What a reader of a report should know before believing it."""

from collections.abc import Iterator

from app.compare.results import ArmResult, ComparisonReport, PairResult

_FEW_PROBLEMS = 100
_NEARLY_ALL = 0.98
_OFTEN = 0.05


def cautions(report: ComparisonReport) -> tuple[str, ...]:
    """Warnings, the most important first; each says what follows from it."""
    return (
        *_about_problems(report),
        *(line for arm in report.arms for line in _about_arm(arm, report)),
        *_about_differences(report),
    )


def _about_problems(report: ComparisonReport) -> Iterator[str]:
    if not report.finished:
        done, all_of_them = sum(arm.problems for arm in report.arms), report.problems * len(report.arms)
        yield (
            f"Not finished: {done:,} of {all_of_them:,} outcomes. Arms are compared on the problems that "
            "both have finished. p values promise nothing if a run is watched until they are small enough."
        )
    if report.measure is None:
        yield "No problem has an answer, so nothing is judged: only texts and costs are compared."
    elif report.problems < _FEW_PROBLEMS:
        yield (
            f"Only {report.problems} problems: intervals are wide, and a difference has to be large to show. "
            f"Take {_FEW_PROBLEMS} or more."
        )
    models = list(dict.fromkeys(arm.model or "the default" for arm in report.spec.arms))
    if len(models) > 1:
        yield (
            f"Arms run on different models ({_list(models)}): each counts tokens of its own, which cost "
            "different amounts of time, so compare costs within a model, and latency between them."
        )
    told = [arm.name for arm in report.arms if arm.told]
    if told:
        yield (
            f"Told what is wrong by the checker: {_list(told)}. This shows what is to be gained, not what a "
            "request can get, and is left out of the Pareto front."
        )
    if report.measure == "correct":
        judged = max((_judged(pair) for pair in report.pairs), default=report.problems)
        if 0 < judged < report.common:
            yield f"{report.common - judged:,} problems have no answer; accuracy is over the others."


def _about_arm(arm: ArmResult, report: ComparisonReport) -> Iterator[str]:
    if not arm.problems and any(other.problems for other in report.arms):
        yield f"{arm.name} has finished no problem yet."
    if arm.unjudged:
        yield (
            f"{arm.name}: the judge failed on {arm.unjudged:,} of {arm.problems:,} answers, which are in no "
            "accuracy; judge_error in outcomes.jsonl says why."
        )
    cut = arm.finish_reasons.get("length", 0)
    if arm.problems and cut / arm.problems > _OFTEN:
        yield (
            f"{arm.name} ran out of tokens on {cut:,} of {arm.problems:,} problems: raise max_tokens, or "
            "take it as part of the strategy."
        )


def _about_differences(report: ComparisonReport) -> Iterator[str]:
    base = report.arm(report.baseline)
    if base.accuracy is not None and base.problems >= _FEW_PROBLEMS and base.accuracy.value >= _NEARLY_ALL:
        yield (
            f"The baseline {base.name} is right on {base.accuracy.value:.1%}: little is left to be gained. "
            "Take harder problems."
        )
    same = [pair.arm for pair in report.against_baseline if _is_same(pair)]
    if same:
        yield (
            f"{_list(same)} {'is' if len(same) == 1 else 'are'} right and wrong on exactly the problems that "
            f"{report.baseline} is, at the same cost: does the setting change anything?"
        )


def _judged(pair: PairResult) -> int:
    return pair.both + pair.arm_only + pair.other_only + pair.neither


def _is_same(pair: PairResult) -> bool:
    ratio = pair.token_ratio
    same_cost = ratio is not None and ratio.value == 1
    return _judged(pair) > 0 and pair.arm_only == pair.other_only == 0 and same_cost


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
