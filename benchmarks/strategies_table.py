"""What do strategies reach on problems of the corpus, and what does it cost? Markdown from comparisons.

    demur compare benchmarks/strategies/tune-1.yaml       # and tune-2, tune-3: four settings of each strategy
    python benchmarks/strategies_table.py tuned runs/comparisons/tune-*
    demur compare benchmarks/strategies/test-id.yaml      # the chosen settings; and test-ood
    python benchmarks/strategies_table.py results runs/comparisons/test-id runs/comparisons/test-ood

Every arm solves the same problems with the same seeds; a solution counts if all its steps and its answer are
right. Tokens are all that were computed, discarded ones included.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from app.compare.folder import read_latency, read_outcomes, read_spec
from app.compare.resampling import resampled_means
from app.compare.results import ArmResult, ComparisonReport, Estimate, PairResult
from app.compare.summary import measure_of, summarise
from app.compare.table import tabulate

Folders = Annotated[list[Path], typer.Argument(help="Folders of comparisons.")]

app = typer.Typer(no_args_is_help=True, help=(__doc__ or "").split("\n", 1)[0])


def report_of(folder: Path) -> ComparisonReport:
    """The report of what a run has so far."""
    return summarise(read_spec(folder), read_outcomes(folder), read_latency(folder))


def percent(share: Estimate | None, digits: int = 1) -> str:
    """A share with its interval, in percent."""
    if share is None or share.low is None or share.high is None:
        return "-"
    return f"{share.value:.{digits}%} ({share.low:.{digits}%} to {share.high:.{digits}%})"


def points(difference: Estimate | None) -> str:
    """A difference of shares with its interval, in percentage points."""
    if difference is None or difference.low is None or difference.high is None:
        return "-"
    return f"{100 * difference.value:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"


def ratio(value: Estimate | None) -> str:
    """A ratio with its interval."""
    if value is None or value.low is None or value.high is None:
        return "-"
    return f"{value.value:.2f} ({value.low:.2f} to {value.high:.2f})"


def accuracy(arm: ArmResult) -> float:
    """The arm's accuracy, which every arm of these comparisons has."""
    assert arm.accuracy is not None
    return arm.accuracy.value


def tokens(arm: ArmResult) -> float:
    """The arm's mean of all tokens."""
    assert arm.tokens is not None
    return arm.tokens.mean.value


def gap_closed(folder: Path, arm: str, floor: str, ceiling: str) -> Estimate:
    """(arm - floor) / (ceiling - floor) of accuracies, with the interval from resampling problems."""
    spec = read_spec(folder)
    table = tabulate([each.name for each in spec.arms], read_outcomes(folder), measure_of(spec))
    names = [each.name for each in spec.arms]
    right = table.right[:, [names.index(name) for name in (arm, floor, ceiling)]]
    right = right[~np.isnan(right).any(axis=1)]
    means = np.vstack([right.mean(axis=0), resampled_means(right)])
    gap = means[:, 2] - means[:, 1]
    share = np.divide(means[:, 0] - means[:, 1], gap, out=np.full(len(gap), np.nan), where=gap > 0)
    low, high = np.nanquantile(share[1:], [0.025, 0.975])
    return Estimate(value=float(share[0]), low=float(low), high=float(high))


@app.command()
def tuned(folders: Folders) -> None:
    """Every setting that was tried; arms are NAME-1, NAME-2 and so on."""
    arms: dict[str, list[ArmResult]] = defaultdict(list)
    for folder in folders:
        for arm in report_of(folder).arms:
            arms[arm.name.rpartition("-")[0]].append(arm)
    typer.echo("| setting | n | solved | tokens |\n|---|---|---|---|")
    for settings in arms.values():
        best = min(settings, key=lambda arm: (-accuracy(arm), tokens(arm)))
        for arm in settings:
            mark = "**" if arm is best else ""
            cells = (
                f"{mark}`{arm.name}`{mark}",
                str(arm.problems),
                percent(arm.accuracy),
                f"{tokens(arm):.1f}",
            )
            typer.echo(f"| {' | '.join(cells)} |")


@app.command()
def results(
    folders: Folders,
    probe: Annotated[str, typer.Option(help="Arm whose share of the gap is wanted.")] = "retry_upon_regret",
    ceiling: Annotated[str, typer.Option(help="Arm of the perfect detector.")] = "oracle_retry",
) -> None:
    """The table of each comparison, best first."""
    for folder in folders:
        report = report_of(folder)
        against: dict[str, PairResult] = {pair.arm: pair for pair in report.against_baseline}
        front = {point.arm for point in report.pareto if point.on_front}
        typer.echo(f"### {report.spec.name}: {report.common:,} problems\n")
        typer.echo(
            f"| strategy | solved | against {report.baseline}, points | p (Holm) | tokens "
            f"| times {report.baseline}'s | answered, and then solved |\n|---|---|---|---|---|---|---|"
        )
        for arm in sorted(report.arms, key=lambda arm: (-accuracy(arm), tokens(arm))):
            pair = against.get(arm.name)
            answered = arm.coverage is not None and arm.coverage.value < 1
            cells = (
                f"`{arm.name}`" + (" (front)" if arm.name in front else ""),
                percent(arm.accuracy),
                points(pair.difference) if pair else "",
                f"{pair.p_adjusted:.2g}" if pair and pair.p_adjusted is not None else "",
                f"{tokens(arm):.1f}",
                ratio(pair.token_ratio) if pair else "1",
                f"{percent(arm.coverage)}; {percent(arm.accuracy_when_answered, 2)}" if answered else "",
            )
            typer.echo(f"| {' | '.join(cells)} |")
        if {probe, ceiling} <= {arm.name for arm in report.arms}:
            share = gap_closed(folder, probe, report.baseline, ceiling)
            typer.echo(
                f"\n`{probe}` closes {percent(share, 0)} of the gap between `{report.baseline}` "
                f"and `{ceiling}`."
            )
        typer.echo("")


if __name__ == "__main__":
    app()
