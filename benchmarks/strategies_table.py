"""The accuracy-against-tokens table of benchmarks/strategies.py, from its files.

    python benchmarks/strategies_table.py [RUNS] [--baseline greedy] > docs/strategies-results.md

Intervals are 95%: Wilson's for an accuracy; for a paired difference, 10,000 bootstrap resamples of problems.
p is McNemar's exact test against the baseline, corrected over the arms by Holm.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import binomtest
from strategies import read_lines

RESAMPLES = 10_000
Floats = NDArray[np.float64]


def column(lines: Sequence[dict[str, Any]], keys: Sequence[str], value: str) -> Floats:
    """One number per problem, in the order of `keys`."""
    by_key = {line["key"]: line for line in lines}
    return np.array([float(by_key[key][value]) for key in keys])


def wilson(solved: Floats) -> str:
    """Share solved with its interval, in percent."""
    interval = binomtest(int(solved.sum()), len(solved)).proportion_ci(method="wilson")
    return f"{solved.mean():.1%} ({interval.low:.1%} to {interval.high:.1%})"


def paired(mine: Floats, theirs: Floats) -> str:
    """Difference of the means, in points, with its interval."""
    difference = mine - theirs
    generator = np.random.default_rng(0)
    rows = generator.integers(0, len(difference), (RESAMPLES, len(difference)))
    low, high = np.quantile(difference[rows].mean(axis=1), [0.025, 0.975])
    return f"{100 * difference.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def mcnemar(mine: Floats, theirs: Floats) -> float:
    """Two-sided exact p of McNemar's test."""
    won, lost = int((mine > theirs).sum()), int((mine < theirs).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm(values: dict[str, float]) -> dict[str, float]:
    """p values corrected for their number (Holm, 1979)."""
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(values, key=lambda name: values[name])):
        largest = max(largest, min(1.0, values[name] * (len(values) - rank)))
        corrected[name] = largest
    return corrected


def main(
    runs: Annotated[Path, typer.Argument(help="Folder of one file per arm.")] = Path("runs/strategies/test"),
    baseline: Annotated[str, typer.Option(help="Arm that the others are compared with.")] = "greedy",
) -> None:
    """Print the table of every domain, as Markdown."""
    arms = {path.stem: read_lines(path) for path in sorted(runs.glob("*.jsonl"))}
    for domain in ("id", "ood"):
        keys = [line["key"] for line in arms[baseline] if line["domain"] == domain]
        whole = {name: lines for name, lines in arms.items() if {line["key"] for line in lines} >= set(keys)}
        solved = {name: column(lines, keys, "solved") for name, lines in whole.items()}
        tokens = {
            name: column(lines, keys, "kept") + column(lines, keys, "discarded")
            for name, lines in whole.items()
        }
        base, price = solved[baseline], tokens[baseline].mean()
        p = holm({name: mcnemar(each, base) for name, each in solved.items() if name != baseline})
        typer.echo(f"### {domain}: {len(keys):,} problems\n")
        typer.echo(f"| strategy | solved | against {baseline}, points | p | tokens | times {baseline}'s |")
        typer.echo("|---|---|---|---|---|---|")
        for name in sorted(solved, key=lambda name: -solved[name].mean()):
            difference = "" if name == baseline else paired(solved[name], base)
            chance = "" if name == baseline else f"{p[name]:.2g}"
            cost = tokens[name].mean()
            cells = (
                f"`{name}`",
                wilson(solved[name]),
                difference,
                chance,
                f"{cost:.1f}",
                f"{cost / price:.2f}",
            )
            typer.echo(f"| {' | '.join(cells)} |")
        typer.echo("")


if __name__ == "__main__":
    typer.run(main)
