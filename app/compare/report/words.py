"""Numbers and findings of a report in words."""

from collections.abc import Sequence

from app.compare.results import ComparisonReport, Estimate, PairResult

UNKNOWN = "\N{EN DASH}"


def headline(report: ComparisonReport) -> list[str]:
    """What was found, in a few sentences, the most important first."""
    if report.measure is None:
        return [
            f"{len(report.arms)} {_arms(len(report.arms))} on {report.problems:,} prompts without answers: "
            "texts and costs beside each other."
        ]
    if not any(arm.problems for arm in report.arms):
        return ["Nothing is finished yet."]
    return [*_most_accurate(report), *_against_baseline(report), *_front(report)]


def percent(value: float | None) -> str:
    """A share."""
    return UNKNOWN if value is None else f"{value:.1%}"


def points(value: float | None) -> str:
    """A difference of shares, in percentage points."""
    if value is None:
        return UNKNOWN
    return f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def number(value: float | None) -> str:
    """A count, or a mean of counts."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def times(value: float | None) -> str:
    """A ratio."""
    return UNKNOWN if value is None else f"{value:.2f}\N{MULTIPLICATION SIGN}"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return UNKNOWN
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def chance(value: float | None) -> str:
    """A p value."""
    if value is None:
        return UNKNOWN
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def listed(names: Sequence[str]) -> str:
    """Names as part of a sentence."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _most_accurate(report: ComparisonReport) -> list[str]:
    known = [(arm, arm.accuracy) for arm in report.arms if arm.accuracy is not None and not arm.told]
    if not known:
        return []
    arm, accuracy = max(known, key=lambda each: each[1].value)
    cost = f", at {number(arm.tokens.mean.value)} tokens a problem" if arm.tokens else ""
    verb = {"solved": "solves most", "score": "scores most"}.get(report.measure or "", "gets right most")
    return [f"{arm.name} {verb}: {_with_interval(accuracy)}{cost}."]


def _against_baseline(report: ComparisonReport) -> list[str]:
    if not report.against_baseline:
        return []
    told = {arm.name for arm in report.arms if arm.told}
    better = [pair for pair in report.against_baseline if pair.verdict == "better" and pair.arm not in told]
    worse = [pair for pair in report.against_baseline if pair.verdict == "worse" and pair.arm not in told]
    found: list[str] = []
    if better:
        found.append(
            f"Better than the baseline {report.baseline}: {listed([_gain(pair) for pair in better])}."
        )
    else:
        found.append(f"No arm is shown to be better than the baseline {report.baseline}{_hidden(report)}.")
    if worse:
        found.append(f"Worse: {listed([_gain(pair) for pair in worse])}.")
    return found


def _front(report: ComparisonReport) -> list[str]:
    front = sorted((point for point in report.pareto if point.on_front), key=lambda point: point.tokens)
    if len(report.pareto) < 2:
        return []
    return [f"On the Pareto front of accuracy against tokens: {listed([point.arm for point in front])}."]


def _gain(pair: PairResult) -> str:
    value = None if pair.difference is None else pair.difference.value
    cost = f" at {times(pair.token_ratio.value)} its tokens" if pair.token_ratio else ""
    return f"{pair.arm} ({points(value)} points{cost})"


def _hidden(report: ComparisonReport) -> str:
    """How large a difference may be without having been seen."""
    seen = [pair.power.detectable for pair in report.against_baseline if pair.power.detectable is not None]
    return f"; differences below some {100 * max(seen):.0f} points would mostly not show" if seen else ""


def _with_interval(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"


def _arms(count: int) -> str:
    return "arm" if count == 1 else "arms"
