"""The findings in words, as Markdown: what was expected, what came, and what that says."""

from collections.abc import Iterator, Mapping
from typing import cast

from app.compare.results import Estimate
from app.findings.published import CriterionOut, FindingList, FindingOut, RangeOut, Raw

_NOT_MEASURED = "not measured yet"


def markdown(findings: FindingList, raws: Mapping[str, Raw | None]) -> str:
    """A page with every finding; what is refuted or undecided is shown as plainly as what is supported."""
    return "\n".join(_lines(findings, raws)) + "\n"


def _lines(findings: FindingList, raws: Mapping[str, Raw | None]) -> Iterator[str]:
    yield "# Findings\n"
    yield (
        "Claims about language models, each as an experiment that could have failed. What would support and "
        "what would refute a claim was committed before the first run; the dates are those of the commits. "
        "Made by `demur findings report`; `demur findings run NAME` goes on with an experiment.\n"
    )
    yield "| finding | verdict | thresholds fixed | first run | stages done | processor hours | of about |"
    yield "|---|---|---|---|---|---|---|"
    for finding in findings.data:
        fixed = f"{finding.fixed.date}, `{finding.fixed.commit[:7]}`" if finding.fixed else "unknown"
        done = f"{finding.stages_done} of {finding.stages}" if finding.stages else "cannot be run yet"
        yield (
            f"| [{finding.title}](#{anchor(finding.title)}) | **{finding.verdict}** | {fixed} | "
            f"{finding.begun or 'not yet'} | {done} | {finding.processor_seconds / 3600:.1f} | "
            f"{'unknown' if finding.minutes is None else f'{finding.minutes / 60:.1f}'} |"
        )
    yield (
        "\nA number supports or refutes where its whole interval lies in the range that was fixed for it: "
        "from the lowest bound of any seed to the highest, each seed's own being over people or problems, at "
        "95%. A finding is supported where every number supports it, refuted where one refutes it, and "
        "undecided otherwise: also where a condition of its experiment fails, or a number is missing.\n"
    )
    for finding in findings.data:
        yield from _one(finding, raws.get(finding.name))


def _one(finding: FindingOut, raw: Raw | None) -> Iterator[str]:
    yield f"## {finding.title}\n"
    yield f"**{finding.verdict.capitalize()}.** {finding.claim} ({finding.source})\n"
    yield f"{finding.design}\n"
    yield "| number | supports | refutes | measured | seeds | says |"
    yield "|---|---|---|---|---|---|"
    for each in finding.criteria:
        refuted = " or ".join(range_in_words(other, each.percent) for other in each.refuted)
        seeds = ", ".join(
            f"{seed}: {number(value.value, each.percent)}" for seed, value in each.by_seed.items()
        )
        says = each.verdict if each.measured else _NOT_MEASURED
        yield (
            f"| {each.meaning} | {range_in_words(each.supported, each.percent)} | {refuted or 'nothing'} | "
            f"{estimate(each)} | {seeds} | {says} |"
        )
    yield ""
    if raw is not None and raw.size == "full":
        yield f"![What was measured]({finding.name}.svg)\n"
        yield from stages_in_words(raw.seeds)
        yield ""
    yield f"`{finding.command}`\n"


def stages_in_words(seeds: Mapping[int, Mapping[str, Mapping[str, object]]]) -> Iterator[str]:
    """A table of the numbers of every stage."""
    yield "| stage | seed | result |"
    yield "|---|---|---|"
    for seed, stages in seeds.items():
        for name, result in stages.items():
            shown = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in result.items())
            yield f"| {name} | {seed} | {shown} |"


def _value(value: object) -> str:
    match value:
        case {
            "value": float() | int() as mean,
            "low": float() | int() as low,
            "high": float() | int() as high,
        }:
            return f"{mean:.3f} ({low:.3f} to {high:.3f})"
        case float():
            return f"{value:.3f}"
        case list():
            return " ".join(_value(each) for each in cast("list[object]", value))
        case _:
            return f"{value}"


def estimate(criterion: CriterionOut) -> str:
    """What was measured, with its interval."""
    measured: Estimate | None = criterion.measured
    if measured is None:
        return _NOT_MEASURED
    shown = number(measured.value, criterion.percent)
    if measured.low is None or measured.high is None:
        return shown
    low, high = (number(end, criterion.percent) for end in (measured.low, measured.high))
    return f"{shown} ({low} to {high})"


def range_in_words(range: RangeOut, percent: bool) -> str:
    """Such as `at least 25%`."""
    low, high = range.low, range.high
    if low is not None and high is not None:
        return f"{number(low, percent)} to {number(high, percent)}"
    if low is not None:
        return f"{'at least' if _is_round(low) else 'above'} {number(low, percent)}"
    return (
        "anything" if high is None else f"{'at most' if _is_round(high) else 'below'} {number(high, percent)}"
    )


def _is_round(end: float) -> bool:
    """Whether a range ends where somebody wrote it, and not just beside that, which is left out."""
    return round(end, 9) == end


def number(value: float, percent: bool) -> str:
    """With as many digits as thresholds have."""
    rounded = round(value, 9) + 0.0  # no minus before a zero
    return f"{rounded:.1%}" if percent else f"{rounded:.2f}"


def anchor(title: str) -> str:
    """Of a heading in Markdown."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")
